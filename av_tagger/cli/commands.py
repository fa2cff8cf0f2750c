"""The commands by name: a command's module is imported when it is run or described."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, cast

Body = Callable[..., Any]
Members = dict[str, Body]  # of a group, such as `av-tag weights list`

NAMES = (
    "tag",
    "batch",
    "listen",
    "demo",
    "report",
    "find",
    "index",
    "review",
    "cut",
    "caption",
    "handover",
    "evaluate",
    "tune",
    "arena",
    "train",
    "vote",
    "recipes",
    "analyse",
    "embed",
    "export",
    "bench",
    "classes",
    "config",
    "doctor",
    "weights",
)
GROUPS = {"weights": "List, download, check and convert weights files."}
SHARED = {"index": "find"}  # commands in the module of another one


class Commands(Mapping[str, Body | Members]):
    """A function for each command, a table of functions for a group; in the order of the help."""

    def __getitem__(self, name: str) -> Body | Members:
        if name not in NAMES:
            raise KeyError(name)
        module = import_module(f"av_tagger.cli.{SHARED.get(name, name)}")
        return cast("Body | Members", module.MEMBERS if name in GROUPS else getattr(module, name))

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)

    def __contains__(self, name: object) -> bool:
        return name in NAMES
