"""The flags of `av-tag batch`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from av_tagger.cli.options import ModelOptions, TalkOptions
from av_tagger.flags import OUTPUT, argument, option, required

WHICH, SPEED = "Which clips", "Speed and memory"


@dataclass(frozen=True, kw_only=True)
class BatchOptions(ModelOptions, TalkOptions):
    inputs: list[str] = argument(
        "LIST_OR_FOLDER...", "Folders, files, globs, lists of paths, DCASE lists."
    )
    output: Path = required(
        "The run folder: results.jsonl and the journal.",
        "-o",
        "--output",
        metavar="FOLDER",
        group=OUTPUT,
    )
    format: str | None = option(
        None,
        "More formats, comma-separated: csv, dcase, srt and more.",
        metavar="LIST",
        group=OUTPUT,
    )
    detail: bool = option(False, "Keep curves and key frames, for reports.", group=OUTPUT)
    profile: bool = option(False, "Show where the time went; RUN/profile.png.", group=OUTPUT)
    media: list[Path] | None = option(
        None, "Folder with the clips of a DCASE list.", metavar="FOLDER", group=WHICH
    )
    retry_failed: bool = option(False, "Retry failed clips.", group=WHICH)
    fresh: bool = option(False, "Discard earlier results.", group=WHICH)
    limit: int | None = option(None, "At most N clips.", low=1, group=WHICH)
    shuffle: bool = option(False, "In random order; with --limit, a sample.", group=WHICH)
    seed: int = option(0, "Seed of --shuffle.", group=WHICH)
    shard: str | None = option(None, "Every nth clip from the ith on.", metavar="i/n", group=WHICH)
    engine: str = option("local", "local or ray.", metavar="NAME", group=SPEED)
    address: str | None = option(
        None, "Address of the Ray cluster. Default: a local one.", metavar="ADDRESS", group=SPEED
    )
    devices: str | None = option(
        None,
        "One process per device: cuda:0,cuda:1, or auto for all GPUs.",
        metavar="LIST",
        group=SPEED,
    )
    processes: int = option(
        0, "Processes, or Ray actors. Default: one, or one per GPU.", low=0, group=SPEED
    )
    decode: str = option(
        "auto", "What decodes pictures: auto, cores or nvdec (extra).", metavar="NAME", group=SPEED
    )
    workers: int = option(0, "Decoders per process. Default: one per core.", low=0, group=SPEED)
    batch: int = option(
        0, "Windows per batch of the networks. Default: automatic.", low=0, group=SPEED
    )
    memory: float = option(
        0.0, "GiB of decoded windows at most. Default: automatic.", low=0, group=SPEED
    )
    time_limit: float = option(3600, "Seconds to decode one clip.", low=0.1, group=SPEED)
