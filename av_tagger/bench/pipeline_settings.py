"""What the pipeline benchmark measures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from av_tagger.video.precision import has_int8
from av_tagger.video.quantised import works


@dataclass(frozen=True)
class PipelineSettings:
    """What is measured."""

    clips: int = 4
    rounds: int = 2
    seconds: float = 10.0
    kinds: str = "h264:640x360"
    fast: bool = False
    device: str = "cpu"
    decoders: int = 0
    threads: int = 0  # of the naive side; 0: all cores
    picture: Path | None = None  # of the last run's profile
    recogniser: str = "inception_v4"
    matrix: int = 2048  # size of the matrix product that limits networks
    free_networks: bool = False  # stand-ins that cost nothing: see `driver`
    only: str | None = None  # ear: without the eye, with free networks
    detail: bool = False  # documents with curves and key frames, with free networks
    json: bool = False  # print the figures as the last line, too

    @property
    def int8(self) -> bool:
        """Whether frame features use int8."""
        return self.fast and has_int8(torch.device(self.device)) and works()
