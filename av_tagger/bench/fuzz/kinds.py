"""The kinds of files that are fuzzed: how each is made, mutated and read."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from av_tagger.bench.fuzz import containers, made, readers, texts, values
from av_tagger.bench.fuzz.made import Make
from av_tagger.bench.fuzz.mutate import Parse, Repair, mutated, unstructured
from av_tagger.bench.fuzz.readers import Read

Mutate = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True)
class FileKind:
    """A kind of file."""

    name: str
    suffix: str
    make: Make
    mutate: Mutate
    read: Read
    names_file: bool = True  # whether every message must name the file
    share: int = 1  # of the mutants, relative to other kinds


def structured(parse: Parse, repair: Repair | None = None) -> Mutate:
    """Mutations by the structure of a file; half of them with checksums made right again."""

    def mutate(data: bytes, draw: random.Random) -> bytes:
        found = mutated(data, parse, draw)
        return repair(found) if repair is not None and draw.random() < 0.5 else found

    return mutate


def _film(name: str, suffix: str, parse: Parse, video: str, audio: str) -> FileKind:
    make = partial(made.media, video=video, audio=audio)
    return FileKind(name, suffix, make, structured(parse), readers.decoded, share=4)


def _sound(name: str, parse: Parse, audio: str, repair: Repair | None = None) -> FileKind:
    make = partial(made.media, audio=audio, rate=48_000 if audio == "libopus" else made.RATE)
    return FileKind(name, f".{name}", make, structured(parse, repair), readers.decoded, share=2)


def _text(name: str, suffix: str, make: Make, read: Read, names_file: bool = True) -> FileKind:
    mutate = BY_SUFFIX.get(suffix, texts.mutated_text)
    return FileKind(name, suffix, make, mutate, read, names_file)


def _header(data: bytes, draw: random.Random) -> bytes:
    return texts.mutated_header(data, draw, values.mutated_json)


BY_SUFFIX: dict[str, Mutate] = {
    ".toml": values.mutated_toml,
    ".json": values.mutated_json,
    ".jsonl": values.mutated_json,
}
KINDS: dict[str, FileKind] = {
    kind.name: kind
    for kind in (
        _film("mp4", ".mp4", containers.mp4, "mpeg4", "aac"),
        _film("mov", ".mov", containers.mp4, "mjpeg", "pcm_s16le"),
        _film("mkv", ".mkv", containers.ebml, "mpeg4", "libopus"),
        _film("webm", ".webm", containers.ebml, "libvpx-vp9", "libopus"),
        _film("avi", ".avi", containers.riff, "mjpeg", "pcm_s16le"),
        _sound("wav", containers.riff, "pcm_s16le"),
        _sound("ogg", containers.ogg, "libopus", containers.with_ogg_checksums),
        _sound("aac", containers.adts, "aac"),
        _sound("mp3", unstructured, "libmp3lame"),
        _sound("flac", unstructured, "flac"),
        _text("settings", ".toml", made.settings, readers.settings),
        _text("plan", ".toml", made.settings, readers.plan, names_file=False),
        _text("recipe", ".toml", made.recipe, readers.recipe),
        _text("classes", ".toml", made.classes, readers.classes),
        _text("fusion-json", ".json", made.fusion, readers.fusion),
        _text("fusion-toml", ".toml", made.fusion, readers.fusion),
        _text("ensemble", ".json", made.ensemble, readers.ensemble),
        _text("results", ".jsonl", made.results, readers.results),
        _text("list", ".csv", made.listed, readers.listed),
        _text("strong", ".tsv", made.strong, readers.strong),
        _text("manifest", ".csv", made.manifest, readers.manifest),
        _text("vectors", ".txt", made.vectors, readers.vectors),
        FileKind("ear", ".safetensors", made.ear, _header, readers.ear, share=2),
        FileKind("tensors", ".safetensors", made.ear, structured(unstructured), readers.ear),
        FileKind(
            "calibration",
            ".safetensors",
            made.calibration,
            _header,
            readers.calibration,
        ),
        FileKind(
            "torch", ".pt", made.torch_file, structured(containers.zipped), readers.torch_file
        ),
        FileKind("arrays", ".npz", made.arrays, structured(containers.zipped), readers.arrays),
        FileKind("wheel", ".whl", made.wheel, structured(containers.zipped), readers.wheel),
        FileKind(
            "journal", ".sqlite", made.journal, structured(containers.pages), readers.journal, False
        ),
        FileKind(
            "vectors-zip",
            ".zip",
            made.zipped_vectors,
            structured(containers.zipped),
            readers.vectors,
        ),
    )
}
