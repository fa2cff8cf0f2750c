"""Embeddings of whole clips: what a published ear computes for each second, before its decision."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from av_tagger.audio import ears
from av_tagger.audio.ear_source import EarSource
from av_tagger.audio.known.families import FAMILIES
from av_tagger.clip import Clip
from av_tagger.devices import check_device_name
from av_tagger.errors import AvTaggerError, MediaError, UsageError
from av_tagger.media import open_media
from av_tagger.protocols import DecodeRequest, EmbeddingBranch
from av_tagger.scores import Failed

WINDOW_SECONDS = 10.0  # a whole number: one row per second of the file


class Embedder:
    """Clips in, one row of embeddings per second out."""

    def __init__(self, ear: EmbeddingBranch, name: str, backend: str = "pyav") -> None:
        self.ear = ear
        self.name = name  # finds the same ear on another day
        self.width = ear.width
        self._open = partial(open_media, backend=backend)

    def embed(
        self, items: Sequence[Clip | Failed]
    ) -> tuple[dict[str, NDArray[np.float32]], list[Failed]]:
        """Rows by clip name; clips that cannot be read or have no sound are returned as failed."""
        rows: dict[str, NDArray[np.float32]] = {}
        failed = [item for item in items if isinstance(item, Failed)]
        for clip in (item for item in items if isinstance(item, Clip)):
            try:
                rows[clip.name] = self.embed_one(clip)
            except AvTaggerError as error:
                failed.append(Failed(clip, error.kind, str(error)))
        return rows, failed

    def embed_one(self, clip: Clip) -> NDArray[np.float32]:
        """(seconds, width)."""
        request = DecodeRequest(
            audio_rate=self.ear.rate,
            short_side=None,
            window_seconds=WINDOW_SECONDS,
            overlap_seconds=0.0,
        )
        waveforms = [w.waveform for w in self._open(clip, request) if w.waveform is not None]
        waveforms = [w for w in waveforms if len(w.samples)]
        if not waveforms:
            raise MediaError(clip.path, "has no sound to embed", "leave it out")
        return np.concatenate(self.ear.embed(waveforms))


def load_embedder(name: str, device: str = "auto", *, offline: bool = False) -> Embedder:
    """The ear of this name for its embeddings, downloaded if need be."""
    check_device_name(device)
    source = ears.fetched(_resolve(name, offline=offline), offline=offline)
    ear = ears.load(source, device)
    assert isinstance(ear, EmbeddingBranch)
    return Embedder(ear, source.name)


def embedder_name(name: str, *, offline: bool = False) -> str:
    """The name that finds the same ear on another day; `auto` is downloaded if need be."""
    if name != "auto":
        return _resolve(name, offline=offline).name
    return ears.fetched(_resolve(name, offline=offline), offline=offline).name


def _resolve(name: str, *, offline: bool) -> EarSource:
    """A published ear; `auto` never falls back to the starter, which gives no embeddings."""
    source = ears.resolve_published() if name == "auto" else ears.resolve(name, offline=offline)
    if source.kind not in (*FAMILIES, "trained"):
        known = ", ".join(sorted(ears.EMBEDDERS))
        raise UsageError(
            f"the ear {name!r} gives no embeddings; known: {known}, or the folder of a run on sound"
        )
    return source
