"""Tells which sounds happen in a video, when, and why it thinks so.

import av_tagger
tagger = av_tagger.load()
tagged = tagger.tag("video.mp4")
for tag in tagged.tags:
    print(tag.label, tag.probability, tag.events)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av_tagger.clip import Clip as Clip
    from av_tagger.config import Config as Config
    from av_tagger.errors import AvTaggerError as AvTaggerError
    from av_tagger.labels import ClassList as ClassList
    from av_tagger.live.listener import Listener as Listener
    from av_tagger.media.recording import from_arrays as from_arrays
    from av_tagger.plan import load as load
    from av_tagger.scores import Failed as Failed
    from av_tagger.scores import Tagged as Tagged
    from av_tagger.tagger import Tagger as Tagger
    from av_tagger.version import __version__ as __version__
    from av_tagger.video.keyframes import representatives as representatives

# The public face is loaded on first use: importing the package alone costs no torch.
_HOMES = {
    "load": "plan",
    "Config": "config",
    "Listener": "live.listener",
    "Tagger": "tagger",
    "Tagged": "scores",
    "Failed": "scores",
    "Clip": "clip",
    "ClassList": "labels",
    "AvTaggerError": "errors",
    "from_arrays": "media.recording",
    "representatives": "video.keyframes",
    "__version__": "version",
}

__all__ = [
    "AvTaggerError",
    "ClassList",
    "Clip",
    "Config",
    "Failed",
    "Listener",
    "Tagged",
    "Tagger",
    "__version__",
    "from_arrays",
    "load",
    "representatives",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
