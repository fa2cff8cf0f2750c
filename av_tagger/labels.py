"""Sound classes: labels, AudioSet ids, and words for the eye."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from av_tagger.errors import UsageError, did_you_mean
from av_tagger.path_checks import is_file

NEAR = 0.75  # likeness of a mistyped name, 1 is the same
LISTS = frozenset({".txt", ".csv", ".tsv", ".toml", ".lst"})


@dataclass(frozen=True)
class SoundClass:
    label: str
    id: str = ""  # AudioSet id, such as /m/0284vy3
    group: str = ""
    words: tuple[str, ...] | None = None  # what is seen where it sounds; None: as the label says
    also: tuple[str, ...] = ()  # ids of narrower AudioSet classes that count for this one
    family: str = ""  # classes of one family exclude each other in a picture


@dataclass(frozen=True)
class ClassList:
    """An ordered list of distinct sound classes."""

    classes: tuple[SoundClass, ...]

    def __post_init__(self) -> None:
        if not self.classes:
            raise UsageError("a class list needs at least one class")
        twice = [label for label, n in Counter(self.labels).items() if n > 1]
        if twice:
            raise UsageError(
                f"class {twice[0]!r} is in the list more than once; name each class once"
            )

    def __len__(self) -> int:
        return len(self.classes)

    def __iter__(self) -> Iterator[SoundClass]:
        return iter(self.classes)

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(c.label for c in self.classes)

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(c.id for c in self.classes)

    def find(self, name: str) -> SoundClass:
        """The class with this label or AudioSet id, ignoring case."""
        key = name.strip().casefold()
        for c in self.classes:
            if key in (c.label.casefold(), c.id.casefold()):
                return c
        raise UsageError(f"there is no sound class {name!r}; {did_you_mean(name, self.labels)}")

    def knows(self, name: str) -> bool:
        key = name.strip().casefold()
        return any(key in (c.label.casefold(), c.id.casefold()) for c in self.classes)

    def pick(self, names: Sequence[str]) -> ClassList:
        return ClassList(tuple(self.find(name) for name in names))


@cache
def dcase2017() -> ClassList:
    """The 17 classes of DCASE 2017 task 4, in the official order."""
    text = files("av_tagger").joinpath("resources", "dcase2017.toml").read_text(encoding="utf-8")
    return _from_toml(text)


@cache
def audioset() -> ClassList:
    """The 527 classes of AudioSet in the order of its label list, with what is seen of each.

    Those of DCASE 2017 have their extra words. Names and ids: Google, CC BY 4.0.
    """
    text = files("av_tagger").joinpath("resources", "audioset.tsv").read_text(encoding="utf-8")
    known = {c.id: c for c in dcase2017()}
    seen = _visible()
    rows = (line.split("\t") for line in text.splitlines())
    return ClassList(
        tuple(
            known.get(id_) or SoundClass(label, id_, words=seen.get(label, ()))
            for id_, label in rows
        )
    )


def families(labels: Sequence[str]) -> tuple[str, ...]:
    """The family of each label; empty for none."""
    known = {c.label: c.family for c in dcase2017()}
    return tuple(known.get(label, "") for label in labels)


@cache
def _visible() -> dict[str, tuple[str, ...]]:
    """What is seen where a sound of AudioSet is made, by label; other classes: nothing."""
    text = files("av_tagger").joinpath("resources", "visible.toml").read_text(encoding="utf-8")
    return {label: tuple(words) for label, words in tomllib.loads(text).items()}


def choose_classes(choice: str | None, known: Sequence[str] = ()) -> ClassList:
    """The value of `--classes`: `dcase2017` (or None), `all` for AudioSet, a file, names or ids.

    Names are separated by semicolons, because some contain commas; by commas if the whole text is
    not one name. A name of AudioSet or of `known` (the ear's classes) is that class; any other is a
    class of its own, unless it looks like a mistyped or incomplete name.
    """
    if choice is None or choice == "dcase2017":
        return dcase2017()
    if choice == "all":
        return audioset()
    if is_file(choice):
        return read_classes(Path(choice))
    names = [name for name in choice.split(";") if name.strip()]
    if len(names) == 1 and "," in choice and not audioset().knows(choice):
        names = choice.split(",")
    return ClassList(tuple(_named(name.strip(), known) for name in names))


def _named(name: str, known: Sequence[str]) -> SoundClass:
    """An AudioSet class, a class of the ear, or one that only the eye may find."""
    own = {label.casefold(): label for label in known}
    if not audioset().knows(name) and name.casefold() in own:
        return SoundClass(own[name.casefold()])
    if audioset().knows(name) or name.startswith("/"):
        return audioset().find(name)
    if Path(name).suffix.lower() in LISTS:
        raise UsageError(f"{name}: there is no such file of classes; check the name")
    if near := _near(name, own):
        remedy = f"did you mean {near!r}? (a class of your own goes into a file, one per line)"
        raise UsageError(f"there is no sound class {name!r}; {remedy}")
    return SoundClass(name)


def _near(name: str, own: dict[str, str]) -> str:
    """A label that is nearly the name or contains it as whole words; empty if there is none."""
    labels = {c.label.casefold(): c.label for c in audioset()} | own
    word = re.compile(rf"(?<!\w){re.escape(name.casefold())}(?!\w)")
    found = sorted((key for key in labels if word.search(key)), key=len)
    found = found or difflib.get_close_matches(name.casefold(), labels, n=1, cutoff=NEAR)
    return labels[found[0]] if found else ""


def read_classes(path: Path) -> ClassList:
    """A class list from a file: TOML as in the package, or text with one label per line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path}: cannot be read as a class list ({error}); give text, one label per line"
        ) from error
    try:
        return _from_toml(text) if path.suffix == ".toml" else _from_lines(text)
    except RecursionError as error:
        raise UsageError(f"{path}: is nested too deeply for a class list") from error
    except (UsageError, ValueError) as error:
        raise UsageError(f"{path}: {error}") from error


def _from_toml(text: str) -> ClassList:
    rows = tomllib.loads(text).get("class", [])
    if not isinstance(rows, list):
        raise UsageError("`class` is not a list of tables; begin every class with [[class]]")
    return ClassList(tuple(_sound_class(row, n) for n, row in enumerate(rows, 1)))


def _sound_class(row: object, number: int) -> SoundClass:
    """One class; its label is text, as everything else that it has."""
    table = row if isinstance(row, dict) else {}
    texts = {name: table.get(name, "") for name in ("label", "id", "group", "family")}
    lists = {name: table.get(name, []) for name in ("words", "also")}
    wrong = next((name for name, value in texts.items() if not isinstance(value, str)), "")
    for name, values in lists.items():
        if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
            wrong = name
    if wrong:
        kind = "a list of texts" if wrong in lists else "text"
        raise UsageError(f"class {number}: {wrong!r} is not {kind}")
    if not texts["label"].strip():
        raise UsageError(f"class {number} has no label; write label = its name")
    return SoundClass(
        texts["label"],
        texts["id"],
        texts["group"],
        tuple(lists["words"]) if "words" in table else None,
        tuple(lists["also"]),
        texts["family"],
    )


def _from_lines(text: str) -> ClassList:
    lines = (line.strip() for line in text.splitlines())
    known = {key: c for c in audioset() for key in (c.label.casefold(), c.id.casefold())}
    return ClassList(
        tuple(
            known.get(line.casefold(), SoundClass(line))
            for line in lines
            if line and not line.startswith("#")
        )
    )
