"""av-tag classes: lists and searches sound classes, with the ears and the eye that know each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from av_tagger.cli.options import command
from av_tagger.flags import option, optional_argument

if TYPE_CHECKING:
    from av_tagger.labels import SoundClass

EARS = {"starter": "starter", "yamnet": "yamnet", "efficientat": "efficientat.mn10"}
LABEL_WIDTH, ID_WIDTH = 36, 10


@dataclass(frozen=True, kw_only=True)
class ClassesOptions:
    words: list[str] | None = optional_argument(
        None, "[WORD]...", "Show classes whose label, id or visible form holds these words."
    )
    ear: str | None = option(None, "Also show what this ear knows.", metavar="NAME")
    json: bool = option(False, "Print JSON lines.")


def _classes(options: ClassesOptions) -> int:
    """List sound classes, and which ears and whether the eye can know each."""
    from av_tagger.errors import UsageError, did_you_mean

    known = _ears(options.ear)
    rows = list(_found(_all(known), options.words or ()))
    if not rows:
        words = " ".join(options.words or ())
        hint = did_you_mean(words, [c.label for c in _all(known)]).split("known:")[0]
        raise UsageError(f"no class matches {words!r}" + (f"; {hint}" if hint else ""))
    _print_json(rows, known) if options.json else _print_table(rows, known)
    return 0


def _ears(extra: str | None) -> dict[str, frozenset[str]]:
    """The labels that each ear knows; its weights need not be here, except the starter's."""
    from av_tagger.audio.ears import resolve
    from av_tagger.errors import WeightsError

    found: dict[str, frozenset[str]] = {}
    for name, weights in EARS.items():
        try:
            found[name] = frozenset(resolve(weights).labels)
        except WeightsError:
            continue
    if extra is not None:
        source = resolve(extra, calibrated=True)
        found[extra if len(extra) <= LABEL_WIDTH else source.info.model] = frozenset(source.labels)
    return found


def _all(known: dict[str, frozenset[str]]) -> list[SoundClass]:
    """AudioSet's classes, then those that only an ear of the user's own knows."""
    from av_tagger.labels import SoundClass, audioset

    published = list(audioset())
    labels = {c.label for c in published}
    own = sorted(set().union(*known.values()) - labels)
    return [*published, *(SoundClass(label) for label in own)]


def _found(classes: Sequence[SoundClass], words: Sequence[str]) -> Iterator[SoundClass]:
    wanted = [word.casefold() for word in words]
    for one in classes:
        text = " ".join((one.label, one.id, *(one.words or ()))).casefold()
        if all(word in text for word in wanted):
            yield one


def _print_json(rows: Sequence[SoundClass], known: dict[str, frozenset[str]]) -> None:
    import json

    for c in rows:
        ears = [name for name, labels in known.items() if c.label in labels]
        print(json.dumps({"label": c.label, "id": c.id, "ears": ears, "eye": list(c.words or ())}))


def _print_table(rows: Sequence[SoundClass], known: dict[str, frozenset[str]]) -> None:
    from av_tagger.cli.console import stdout_console

    console, names = stdout_console(), [*known, "eye"]
    console.say(f"{'class':{LABEL_WIDTH}s} {'id':{ID_WIDTH}s} {' '.join(names)}")
    for c in rows:
        if len(c.label) > LABEL_WIDTH:
            console.say(c.label)
        label = c.label if len(c.label) <= LABEL_WIDTH else ""
        marks = [c.label in labels for labels in known.values()] + [c.words != ()]
        cells = (f"{'✓' if mark else '·':^{len(n)}s}" for n, mark in zip(names, marks, strict=True))
        console.say(f"{label:{LABEL_WIDTH}s} {c.id:{ID_WIDTH}s} {' '.join(cells)}".rstrip())
    console.say(f"{len(rows)} class{'es' * (len(rows) != 1)}; ✓ known, · not known")
    console.say('use them: av-tag video.mp4 --classes "NAME;NAME"')


classes = command(ClassesOptions, _classes)
