"""How many threads a live run computes on."""

from __future__ import annotations

import sys

from av_tagger.audio.onnx_ear import OnnxEar
from av_tagger.protocols import AudioBranch


def exported_parts(ear: AudioBranch | None) -> list[OnnxEar]:
    """The exported ears in an ear."""
    if isinstance(ear, OnnxEar):
        return [ear]
    return [found for part in getattr(ear, "parts", ()) for found in exported_parts(part)]


def use_threads(ear: AudioBranch | None, threads: int) -> None:
    """Set the threads of onnxruntime, and those of torch where it is loaded."""
    for part in exported_parts(ear):
        part.threads = threads
        part.__dict__.pop("session", None)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)
