"""Frame rates of video and SMPTE timecodes, drop-frame and non-drop-frame."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from av_tagger.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from av_tagger.scores import Tagged

_TIMECODE = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})[:;](\d{2})")
HOURS = 24  # a timecode starts again at midnight


@dataclass(frozen=True)
class FrameRate:
    """Frames per second; a drop-frame timecode skips numbers, never frames."""

    rate: Fraction
    drop: bool = False

    def __post_init__(self) -> None:
        if self.drop and self.rate not in (Fraction(30000, 1001), Fraction(60000, 1001)):
            raise UsageError("only 29.97 and 59.94 frames per second have drop-frame timecodes")

    @property
    def nominal(self) -> int:
        """Frame numbers per second of timecode: 30 for 29.97."""
        return -(-self.rate.numerator // self.rate.denominator)

    @property
    def is_ntsc(self) -> bool:
        return self.rate.denominator == 1001

    def frames(self, seconds: float) -> int:
        """The nearest frame."""
        return round(Fraction(seconds) * self.rate)

    def seconds(self, frames: int) -> Fraction:
        return frames / self.rate

    def timecode(self, frame: int) -> str:
        """`01:00:00:00`, with a semicolon where frame numbers are dropped."""
        frame %= self._per_day
        number = self._numbered(frame) if self.drop else frame
        seconds, frames = divmod(number, self.nominal)
        minutes, seconds = divmod(seconds, 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours:02d}:{minutes:02d}:{seconds:02d}{';' if self.drop else ':'}{frames:02d}"

    def frame_of(self, timecode: str) -> int:
        """The frame that a timecode numbers."""
        found = _TIMECODE.fullmatch(timecode.strip())
        if found is None:
            raise UsageError(f"{timecode!r} is no timecode; expected hours:minutes:seconds:frames")
        hours, minutes, seconds, frames = map(int, found.groups())
        if hours >= HOURS or minutes > 59 or seconds > 59 or frames >= self.nominal:
            raise UsageError(f"{timecode!r} is no timecode at {self.nominal} frames per second")
        if minutes % 10 and seconds == 0 and frames < self._dropped:
            first = f"{hours:02d}:{minutes:02d}:00;{self._dropped:02d}"
            raise UsageError(f"{timecode!r} is no timecode: drop-frame skips it; use {first}")
        total = ((hours * 60 + minutes) * 60 + seconds) * self.nominal + frames
        whole_minutes = hours * 60 + minutes
        return total - self._dropped * (whole_minutes - whole_minutes // 10)

    @property
    def _dropped(self) -> int:
        """Numbers left out at the start of each minute but every tenth: 2 at 29.97, 4 at 59.94."""
        return self.nominal // 15 if self.drop else 0

    @property
    def _per_day(self) -> int:
        return HOURS * 6 * (self.nominal * 600 - 9 * self._dropped)

    def _numbered(self, frame: int) -> int:
        """The number that a frame has when numbers are dropped."""
        per_minute = self.nominal * 60 - self._dropped
        tens, rest = divmod(frame, per_minute * 10 + self._dropped)
        first = self.nominal * 60
        minutes = 0 if rest < first else 1 + (rest - first) // per_minute
        return frame + self._dropped * (9 * tens + minutes)


def parse_rate(text: str) -> FrameRate:
    """`25`, `23.976`, `29.97` (non-drop), `29.97df`, `59.94df`."""
    name = text.strip().lower()
    plain = name.removesuffix("ndf").removesuffix("df")
    if plain not in RATES:
        raise UsageError(f"there is no frame rate {text!r}; {did_you_mean(name, RATES)}")
    return FrameRate(RATES[plain], name.endswith("df") and not name.endswith("ndf"))


def rate_of(tagged: Tagged) -> FrameRate:
    """The frame rate of a result's file, non-drop; 25 where it has none or cannot be read."""
    from av_tagger.errors import AvTaggerError
    from av_tagger.media import probe

    try:
        track = probe(tagged.clip.path).video
    except (AvTaggerError, OSError, ValueError):
        track = None
    if track is None or not track.rate:
        return FrameRate(RATES[DEFAULT])
    return FrameRate(min(RATES.values(), key=lambda rate: abs(float(rate) - track.rate)))


DEFAULT = "25"
RATES = {
    "23.976": Fraction(24000, 1001),
    "24": Fraction(24),
    "25": Fraction(25),
    "29.97": Fraction(30000, 1001),
    "30": Fraction(30),
    "48": Fraction(48),
    "50": Fraction(50),
    "59.94": Fraction(60000, 1001),
    "60": Fraction(60),
}
