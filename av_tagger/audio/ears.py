"""Ears by name: which ears `yamnet+starter` means, their calibration, and loading them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from av_tagger import weights
from av_tagger.audio.branch import EarSettings, load_ear
from av_tagger.audio.calibration import Calibration, joined
from av_tagger.audio.calibration_file import load_calibration
from av_tagger.audio.combined import CombinedEar
from av_tagger.errors import AvTaggerError, UsageError
from av_tagger.protocols import AudioBranch

JOIN = "+"
EFFICIENTAT = ("efficientat.mn20", "efficientat.mn10", "efficientat.mn04")  # from best to least
PUBLISHED = ("yamnet", *EFFICIENTAT)
STARTER, YAMNET = "starter", "yamnet"
NAMES = (*PUBLISHED, STARTER)

Say = Callable[[str], None]


def best_ear(*, offline: bool = False, say: Say | None = None) -> str:
    """The best ear of what is here and of what can be fetched: YAMNet and the starter together,
    and EfficientAT where its weights are.
    """
    yamnet = _here_or_fetched(YAMNET, offline, say or (lambda _: None))
    parts = (YAMNET if yamnet else None, STARTER, best_published(EFFICIENTAT))
    names = tuple(part for part in parts if part is not None)
    return JOIN.join(names) if has_calibration(names) else best_published() or STARTER


def best_published(names: Sequence[str] = (*EFFICIENTAT, "yamnet")) -> str | None:
    """The first of these whose weights are here."""
    return next((name for name in names if weights.locate(name) is not None), None)


def _here_or_fetched(name: str, offline: bool, say: Say) -> bool:
    """An index that cannot be reached is found out quickly, and costs nothing but quality."""
    try:
        fetch(name, offline=offline, retry=False)
    except AvTaggerError as error:
        if not offline:
            say(f"a better ear is not here: {error}")
        return False
    return True


def fetch(name: str, *, offline: bool = False, retry: bool = True) -> Path:
    """The weights file of a published ear, fetched or made where it is not here."""
    if name == YAMNET:
        from av_tagger.audio.known.ear import fetch_yamnet

        return fetch_yamnet(offline=offline, retry=retry)
    return weights.fetch(name, offline=offline, retry=retry)


def part_names(name: str) -> tuple[str, ...]:
    """`yamnet+efficientat:mn10` -> (`yamnet`, `efficientat.mn10`); a file stays as it is."""
    if Path(name).exists():
        return (name,)
    names = tuple(full_name(part.strip()) for part in name.split(JOIN))
    twice = next((n for n in names if names.count(n) > 1), None)
    if twice is not None:
        raise UsageError(f"{name}: names the ear {twice!r} twice; name each ear once")
    return names


def has_calibration(names: tuple[str, ...]) -> bool:
    """Whether these ears together, or each of them, have a calibration file."""
    return _file_of(names) is not None or all(_file_of((n,)) is not None for n in names)


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


def load_named(
    name: str,
    device: str = "auto",
    settings: EarSettings | None = None,
    *,
    offline: bool = False,
) -> AudioBranch:
    """The ear of this name: calibrated where a calibration is known, as it is otherwise.

    `starter`, `yamnet`, `efficientat.mn10`, any of them joined by `+`, a weights file, or the
    folder of a training run.
    """
    names = part_names(name)
    if len(names) == 1 and not has_calibration(names):
        return load_part(names[0], device, settings, offline=offline)
    calibration = calibration_of(names)
    parts = [
        load_part(part, device, settings, offline=offline, calibration=calibration)
        for part in calibration.parts
    ]
    return CombinedEar(parts, calibration)


def load_part(
    name: str,
    device: str = "auto",
    settings: EarSettings | None = None,
    *,
    offline: bool = False,
    calibration: Calibration | None = None,
) -> AudioBranch:
    """One ear without calibration; with the head that a calibration adds to it."""
    if name in PUBLISHED or Path(name).suffix == ".pt":
        from av_tagger.audio.known.ear import load

        head = calibration.head if calibration is not None and _wears(calibration, name) else None
        return load(name, device, offline=offline, head=head)
    return load_ear(name, device, settings, offline=offline)


def _wears(calibration: Calibration, name: str) -> bool:
    """Whether the head of this calibration belongs to the part of this name."""
    return any(s.head and calibration.parts[s.part] == name for s in calibration.sources)


def full_name(name: str) -> str:
    """`efficientat` and `efficientat:mn10` -> `efficientat.mn10`."""
    kind, _, size = name.replace(":", ".", 1).partition(".")
    if kind == "efficientat" and not Path(name).suffix.startswith(".pt"):
        return f"{kind}.{size or 'mn10'}"
    return "yamnet" if name == "yamnet:" else name


def family_of(name: str) -> str:
    """`starter+yamnet+efficientat.mn10` -> `efficientat+starter+yamnet`: for files of this ear."""
    return JOIN.join(sorted(map(_family, part_names(name))))


def _family(name: str) -> str:
    """Sizes of EfficientAT share a calibration, which was measured with mn04."""
    return name.partition(".")[0] if name in PUBLISHED else name


def _file_of(names: tuple[str, ...]) -> Path | None:
    if any(n not in NAMES for n in names):
        return None
    return weights.find(f"ear.{JOIN.join(sorted(map(_family, names)))}.safetensors")


def _renamed(calibration: Calibration, names: tuple[str, ...]) -> Calibration:
    """With the sizes that were asked for in place of the family's name."""
    by_family = {_family(n): n for n in names}
    return replace(calibration, parts=tuple(by_family[_family(p)] for p in calibration.parts))
