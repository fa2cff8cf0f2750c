"""av-tag batch: tags a collection into a run folder; the same command again resumes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from av_tagger.cli.options import ModelOptions, TalkOptions, command
from av_tagger.flags import OUTPUT, argument, option, required

if TYPE_CHECKING:
    from rich.console import Console

    from av_tagger.runner.run import Engine, RunRequest, Summary
    from av_tagger.runner.selection import Selection

WHICH, SPEED = "Which clips", "Speed and memory"
INTERRUPTED = 130


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
        None, "Of the Ray cluster. Default: a local one.", metavar="ADDRESS", group=SPEED
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
    workers: int = option(0, "Decoders per process. Default: one per core.", low=0, group=SPEED)
    batch: int = option(
        0, "Windows per batch of the networks. Default: automatic.", low=0, group=SPEED
    )
    memory: float = option(
        0.0, "GiB of decoded windows at most. Default: automatic.", low=0, group=SPEED
    )
    time_limit: float = option(3600, "Seconds to decode one clip.", low=0.1, group=SPEED)


def _batch(options: BatchOptions) -> int:
    """Tag a collection into RUN; run the same command again to resume."""
    from rich.console import Console

    from av_tagger.cli.batch_summary import (
        show_interrupted,
        show_profile,
        show_summary,
        show_written,
    )
    from av_tagger.cli.progress import progress_bar
    from av_tagger.runner.run import run

    console = Console(stderr=True, highlight=False)
    formats = _check(options)
    request, engine = _request(options, console)
    try:
        with progress_bar(
            "tagging", "clips", console=console, quiet=options.quiet, log=True
        ) as bar:
            summary = run(request, engine, lambda c: bar(c.done + c.failed, c.total, c.failed))
    except KeyboardInterrupt:
        show_interrupted(console, request)
        return INTERRUPTED
    show_summary(console, summary, quiet=options.quiet)
    show_written(console, _write_formats(formats, summary), quiet=options.quiet)
    if options.profile:
        show_profile(console, summary)
    return 1 if summary.counts.failed else 0


def _check(options: BatchOptions) -> tuple[str, ...]:
    """Refuse wrong flags before any network is loaded; returns the formats to write."""
    from av_tagger.cli.batch_engines import ENGINES
    from av_tagger.errors import UsageError, did_you_mean
    from av_tagger.reports.writers import check_formats
    from av_tagger.runner.sources import check_inputs

    formats = () if options.format is None else check_formats(options.format.split(","))
    check_inputs(options.inputs, options.media or ())
    if options.output.exists() and not options.output.is_dir():
        raise UsageError(f"{options.output}: is a file; name a folder for the run with -o")
    if options.engine not in ENGINES:
        raise UsageError(
            f"there is no engine {options.engine!r}; {did_you_mean(options.engine, ENGINES)}"
        )
    if options.address is not None and options.engine != "ray":
        raise UsageError("--address needs --engine ray")
    if options.devices is not None and (options.processes or options.engine == "ray"):
        raise UsageError(
            "--devices starts one process per device; leave out --processes and --engine ray"
        )
    _selection(options)
    return formats


def _selection(options: BatchOptions) -> Selection:
    from av_tagger.runner.selection import Selection

    seed = options.seed if options.shuffle else None
    return Selection(_shard(options.shard), seed, options.limit, options.retry_failed)


def _shard(text: str | None) -> tuple[int, int]:
    from av_tagger.errors import UsageError

    if text is None:
        return 1, 1
    first, _, second = text.partition("/")
    if not (first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second)):
        raise UsageError(f"--shard {text}: expected i/n with i from 1 to n, such as 2/8")
    return int(first), int(second)


def _request(options: BatchOptions, console: Console) -> tuple[RunRequest, Engine]:
    """Find a first clip, then load networks. With --detail, results without it are made again."""
    from av_tagger.cli.batch_engines import ENGINES, wants_detail
    from av_tagger.runner.run import RunRequest
    from av_tagger.runner.sources import at_least_one, items

    found = at_least_one(items(options.inputs, options.media or ()))
    engine, fingerprint = ENGINES[options.engine](options, console)
    fingerprint += "+detail" if wants_detail(options) else ""
    selection = _selection(options)
    return RunRequest(options.output, found, fingerprint, selection, options.fresh), engine


def _write_formats(formats: Sequence[str], summary: Summary) -> Counter[str]:
    """How many files were written, by name or pattern; JSON lines are written by the run itself."""
    from av_tagger.reports.stored import StoredOutcomes
    from av_tagger.reports.writers import write_each

    names = [name for name in formats if name != "json"]
    written: Counter[str] = Counter()
    for sheet, path in write_each(names, StoredOutcomes(summary.files[0]), summary.folder):
        written[str(summary.folder / f"*{sheet.suffix}") if sheet.each else str(path)] += 1
    return written


batch = command(BatchOptions, _batch)
