"""Settings of sound captions; the defaults are usual in guidelines of broadcasters."""

from __future__ import annotations

from dataclasses import dataclass

from av_tagger.errors import UsageError


@dataclass(frozen=True)
class CaptionSettings:
    """How long captions are shown, how much they hold, and what they say of a sound."""

    characters_per_second: float = 17.0  # reading speed of adults
    characters_per_line: int = 42
    lines: int = 2
    shortest: float = 0.833  # seconds: 20 frames of 24 per second
    longest: float = 7.0  # seconds
    gap: float = 0.083  # seconds between two captions: 2 frames of 24 per second
    shift: float = 1.0  # seconds that a caption may be before or after its sound
    pause: float = 2.0  # seconds; after a shorter pause a sound is the same event
    repeat: float = 30.0  # seconds; after a shorter pause a sound "continues"
    remind: float = 60.0  # seconds without a caption of a sound that goes on
    faint: float = -9.0  # dB relative to the film's level
    loud: float = 6.0  # dB relative to the film's level
    look: float = 2.0  # seconds around an event in which its source may be seen

    def __post_init__(self) -> None:
        positive = ("characters_per_second", "characters_per_line", "lines", "shortest")
        for name in positive:
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} is {getattr(self, name)}; expected a number above 0")
        for name in ("gap", "shift", "pause", "repeat", "remind", "look"):
            if not getattr(self, name) >= 0:
                raise UsageError(f"{name} is {getattr(self, name)}; expected 0 or more")
        if self.longest < self.shortest:
            raise UsageError(
                f"captions last at least {self.shortest:g} s and at most {self.longest:g} s;"
                " the longest must not be shorter than the shortest"
            )

    def reading_ms(self, text: str) -> int:
        """How long a caption must be shown to be read; never more than the longest."""
        seconds = max(self.shortest, len(text.replace("\n", " ")) / self.characters_per_second)
        return round(1000 * min(seconds, self.longest))
