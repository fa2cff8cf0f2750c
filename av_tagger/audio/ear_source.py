"""An ear as plain data: what would be loaded, and from which files (no torch)."""

from __future__ import annotations

from dataclasses import dataclass

from av_tagger.audio.frame_times import TIMELINE_RATE
from av_tagger.audio.header import Header
from av_tagger.audio.known.families import FAMILIES
from av_tagger.scores import BranchInfo
from av_tagger.weights_ref import WeightsRef

COMBINED = "combined"  # the kind of ears behind a calibration
ONNX = "onnx"  # the kind of exported ears


@dataclass(frozen=True)
class EarSource:
    """Names an ear and its files; picklable, so that other processes load the same ear."""

    name: str  # finds the same ear on another day: `starter`, `efficientat.mn10`, a path
    kind: str  # trained, embedded, combined, ensemble, or a family of published networks
    info: BranchInfo  # model and weights, as results name them
    file: WeightsRef
    rate: int  # Hz
    labels: tuple[str, ...]  # classes that it knows
    header: Header | None = None  # of an ear that `av-tag train` made
    parts: tuple[EarSource, ...] = ()  # ears that this one is built on
    digest: str = ""  # of the calibration, of a combined ear
    exported: str = ""  # the calibrated ear that an ONNX file was made of
    fallback: str = ""  # used instead where a file cannot be downloaded
    reason: str = ""  # why this ear, for `av-tag doctor`
    advice: tuple[str, ...] = ()  # said before tagging: what was expected and is not used

    @property
    def all_parts(self) -> tuple[EarSource, ...]:
        """This source and everything that it is built on."""
        return (self, *(found for part in self.parts for found in part.all_parts))

    @property
    def calibrated_as(self) -> str:
        """The name that finds its calibration and fusion file."""
        return self.exported or self.name

    @property
    def needs_torch(self) -> bool:
        """Exported ears are computed by onnxruntime."""
        if self.kind in (ONNX, COMBINED):
            return any(part.needs_torch for part in self.parts)
        return True

    @property
    def is_here(self) -> bool:
        """All files are on this machine."""
        return self.file.path is not None and all(part.is_here for part in self.parts)

    @property
    def identity(self) -> list[str]:
        """Differs where scores differ; part of a run's fingerprint."""
        own = [self.kind, self.file.identity, *filter(None, [self.digest])]
        if self.kind in (*FAMILIES, ONNX):
            own.append(f"timeline {TIMELINE_RATE:g}")
        return own + [text for part in self.parts for text in part.identity]
