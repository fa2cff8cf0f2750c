"""All settings of a run: defaults, a TOML file, and flags, which take precedence."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from av_tagger.audio.events import EventSettings
from av_tagger.audio.settings import EarSettings
from av_tagger.flags import RunFlags
from av_tagger.settings import check_range, from_table, read_toml, to_table
from av_tagger.video.branch import EyeSettings

FAST_FRAME_RATE = 8.0  # fps; see `python -m av_tagger.bench.savings` for what it costs


@dataclass(frozen=True)
class MediaSettings:
    """How files are read."""

    backend: str = "pyav"  # or decord
    limit_seconds: float = 120.0  # for one window of a file
    window_seconds: float = 10.0  # a longer film is tagged window by window
    overlap_seconds: float = 1.0  # of windows
    skip_nonref: bool = False  # skip non-reference frames: half of them, 60 % of the decoding time

    def __post_init__(self) -> None:
        check_range(self, 1e-3, 1e6, "limit_seconds")
        check_range(self, 0.1, 3600.0, "window_seconds")
        if not 0 <= self.overlap_seconds < self.window_seconds:
            raise ValueError(
                "overlap_seconds must be shorter than window_seconds, and not negative: "
                f"{self.overlap_seconds:g} of {self.window_seconds:g}"
            )


@dataclass(frozen=True)
class Config(RunFlags):
    """All settings of a run: the flags (see `RunFlags`), and one table of settings per package.

    Every field is a key of the settings file.
    """

    hearing: EarSettings = field(default_factory=EarSettings)
    eye: EyeSettings = field(default_factory=EyeSettings)
    events: EventSettings = field(default_factory=EventSettings)
    media: MediaSettings = field(default_factory=MediaSettings)

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold must lie between 0 and 1: {self.threshold}")

    @property
    def frame_rate(self) -> float | None:
        return self.eye.frame_rate or (FAST_FRAME_RATE if self.fast else None)

    @property
    def skip_nonref(self) -> bool:
        return self.media.skip_nonref or self.fast

    @property
    def eye_settings(self) -> EyeSettings:
        """The eye's settings: int8 with `--fast`, the paper's mapping with `--fusion paper`."""
        eye = self.eye.as_in_the_paper() if self.fusion == "paper" else self.eye
        eye = replace(eye, where=eye.where or self.where)
        fast = self.fast and eye.precision == "auto"
        return replace(eye, precision="int8") if fast else eye

    @property
    def decoder(self) -> str:
        return self.backend or self.media.backend

    def numbers(self) -> dict[str, Any]:
        """Settings that change scores, tags or events, without what a plan resolves from names."""
        table = to_table(self)
        for name in ("ear", "only", "device", "classes", "fusion", "backend", "offline", "preset"):
            table.pop(name)
        table["media"].pop("limit_seconds")
        table.pop("where")
        for name in ("pictures", "where", "network_weights", "recogniser_weights", "words"):
            table["eye"].pop(name)
        if self.by == "event":  # as in results of versions without this setting
            table.pop("by")
        return table | {"decoder": self.decoder}


def configure(path: Path | None = None, flags: Mapping[str, Any] | None = None) -> Config:
    """Defaults, then the settings file, then the flags."""
    table: dict[str, Any] = read_toml(path) if path is not None else {}
    if os.environ.get("AV_TAGGER_OFFLINE"):
        table.setdefault("offline", True)
    if path is not None and table:
        from_table(Config, table, str(path))  # errors of the file name the file
    return from_table(Config, {**table, **(flags or {})}, "flags" if flags else "settings")
