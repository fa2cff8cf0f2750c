"""Flags: how an option is declared (once), and the flags that every tagging command shares.

A declaration gives name, type, default and help text. `av_tagger.cli.options` makes command-line
options of it, and the flags of a run are also the top-level keys of a settings file
(`av_tagger.config.Config` extends `RunFlags`). Standard library only, so that `--help` is instant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeVar

T = TypeVar("T")

FLAG = "flag"  # key of a field's metadata
EXPAND = "expand"

MODELS = "Ear, eye and fusion"
OUTPUT = "Output"


@dataclass(frozen=True)
class Flag:
    """What a help page needs to know about an option or argument."""

    help: str
    names: tuple[str, ...] = ()  # such as ("-o", "--output"); default: from the field's name
    metavar: str | None = None
    group: str | None = None
    low: float | None = None
    high: float | None = None
    positional: bool = False


def option(default: T, text: str, *names: str, **details: Any) -> T:
    """A dataclass field that is a command-line option; `details` are fields of `Flag`."""
    declared: T = field(default=default, metadata={FLAG: Flag(text, names, **details)})
    return declared


def required(text: str, *names: str, **details: Any) -> Any:
    """An option without a default."""
    return field(metadata={FLAG: Flag(text, names, **details)})


def argument(metavar: str, text: str) -> Any:
    """A required positional argument."""
    return field(metadata={FLAG: Flag(text, metavar=metavar, positional=True)})


def optional_argument(default: T, metavar: str, text: str) -> T:
    """A positional argument that may be left out."""
    flag = Flag(text, metavar=metavar, positional=True)
    declared: T = field(default=default, metadata={FLAG: flag})
    return declared


def given(kind: type) -> Mapping[str, Any]:
    """A mapping of the flags of the dataclass `kind` that were given on the command line."""
    declared: Mapping[str, Any] = field(default_factory=dict, metadata={EXPAND: kind})
    return declared


def same(kind: type, name: str, **details: Any) -> Any:
    """The flag `name` of the dataclass `kind`, in another command; `details` replace its own."""
    one = next(f for f in fields(kind) if f.name == name)
    return field(default=one.default, metadata={FLAG: replace(one.metadata[FLAG], **details)})


@dataclass(frozen=True)
class RunFlags:
    """Flags of every command that runs the ear and the eye."""

    ear: str = option(
        "auto",
        "Audio network: auto, starter, yamnet, efficientat:mn10, several joined by '+', a weights"
        " file or a training run's folder.",
        metavar="NAME",
        group=MODELS,
    )
    only: Literal["ear", "eye"] | None = option(
        None,
        "Use only the ear (sound) or only the eye (pictures).",
        metavar="ear|eye",
        group=MODELS,
    )
    preset: Literal["", "paper"] = option(
        "",
        "paper: the published audio-visual system to the letter (with --ear, a run of crnn-av).",
        metavar="paper",
        group=MODELS,
    )
    classes: str | None = option(
        None,
        "Classes to tag: a file with one class per line, names or ids joined by ';', or all."
        " Default: those of the ear, or of the ground truth.",
        metavar="CLASSES",
        group=MODELS,
    )
    fusion: str = option(
        "auto",
        "How ear and eye are combined: auto, logit, paper, even, max, or a file from av-tag tune.",
        metavar="NAME",
        group=MODELS,
    )
    threshold: float | None = option(
        None,
        "One threshold for all classes instead of one per class.",
        metavar="0..1",
        low=0.0,
        high=1.0,
        group=MODELS,
    )
    by: Literal["event", "shot"] = option(
        "event",
        "What a tag's times are: its events, or the shots of the film in which it occurs.",
        metavar="event|shot",
        group=MODELS,
    )
    where: bool = option(
        False,
        "Say where in the picture the objects are that speak for a tag. On with --report.",
        group=MODELS,
    )
    fast: bool = option(
        False,
        "Faster: sample 8 fps and use int8 frame features. May change tags.",
        group=MODELS,
    )
    device: str = option("auto", "Where networks run: auto, cpu, cuda or cuda:N.", metavar="DEVICE")
    backend: str | None = option(None, "Decoder: pyav or decord.", metavar="NAME")
    offline: bool = option(False, "Never use the network.")
