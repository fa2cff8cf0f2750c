"""Extractors by name: each turns features into instances; an architecture names one and gives its settings."""

from __future__ import annotations

from av_tagger.audio.extractors.crnn import Crnn
from av_tagger.audio.sockets import Extractor

EXTRACTORS: dict[str, type[Extractor]] = {"crnn": Crnn}
