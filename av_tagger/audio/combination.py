"""Combined ears by name: the parts of `yamnet+starter`, and the calibration made for them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from av_tagger import weights
from av_tagger.audio.calibration import Calibration, joined
from av_tagger.audio.calibration_file import load_calibration
from av_tagger.errors import UsageError
from av_tagger.path_checks import exists

JOIN = "+"
STARTER, YAMNET = "starter", "yamnet"
EFFICIENTAT = ("efficientat.mn20", "efficientat.mn10", "efficientat.mn04")  # best first
NAMES = (YAMNET, *EFFICIENTAT, STARTER)  # ears that may have a calibration
MEASURED = {  # mean average precision over the 17 classes by family, from weights/ear.md
    "starter": 0.454,
    "yamnet": 0.583,
    "efficientat": 0.552,
    "starter+yamnet": 0.688,
    "efficientat+starter": 0.634,
    "efficientat+starter+yamnet": 0.695,
}


def part_names(name: str) -> tuple[str, ...]:
    """`yamnet+efficientat:mn10` -> (`yamnet`, `efficientat.mn10`); a file stays as it is."""
    if exists(name):
        return (name,)
    names = tuple(full_name(part.strip()) for part in name.split(JOIN))
    twice = next((n for n in names if names.count(n) > 1), None)
    if twice is not None:
        raise UsageError(f"{name}: names the ear {twice!r} twice; name each ear once")
    return names


def full_name(name: str) -> str:
    """`efficientat:mn10` -> `efficientat.mn10`, `crnn.starter` -> `starter`.

    `efficientat` alone is the best of its sizes on this machine, mn10 if there is none.
    """
    given = name.replace(":", ".", 1)
    if given == "efficientat":
        return next((n for n in EFFICIENTAT if weights.locate(n) is not None), EFFICIENTAT[1])
    return {"crnn.starter": STARTER}.get(given, given)


def has_calibration(names: tuple[str, ...]) -> bool:
    """Whether these ears together, or each of them, have a calibration file."""
    return _file_of(names) is not None or all(_file_of((n,)) is not None for n in names)


def calibration_files(names: tuple[str, ...]) -> tuple[Path, ...]:
    """The file made for these ears together, or else one per ear."""
    together = _file_of(names)
    if together is not None:
        return (together,)
    return tuple(path for n in names if (path := _file_of((n,))) is not None)


def calibration_of(names: tuple[str, ...]) -> Calibration:
    """The file made for these ears together; without one, the mean of their own calibrations."""
    path = _file_of(names)
    if path is not None:
        return _renamed(load_calibration(path), names)
    missing = next((n for n in names if _file_of((n,)) is None), None)
    if missing is not None:
        raise UsageError(
            f"the ear {missing!r} has no calibration, so it cannot be combined with others; "
            f"give it alone, or combine some of {', '.join(NAMES)}"
        )
    return joined([calibration_of((n,)) for n in names])


def family_of(name: str) -> str:
    """`starter+yamnet+efficientat.mn10` -> `efficientat+starter+yamnet`: for files of this ear."""
    return JOIN.join(sorted(map(_family, part_names(name))))


def _family(name: str) -> str:
    """Sizes of EfficientAT share a calibration, which was measured with mn04."""
    return name.partition(".")[0] if name in NAMES else name


def _file_of(names: tuple[str, ...]) -> Path | None:
    if any(n not in NAMES for n in names):
        return None
    return weights.find(f"ear.{JOIN.join(sorted(map(_family, names)))}.safetensors")


def _renamed(calibration: Calibration, names: tuple[str, ...]) -> Calibration:
    """With the sizes that were asked for in place of the family's name."""
    by_family = {_family(n): n for n in names}
    return replace(calibration, parts=tuple(by_family[_family(p)] for p in calibration.parts))
