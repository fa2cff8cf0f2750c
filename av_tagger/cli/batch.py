"""av-tag batch: a collection in, a run's folder out; started again it goes on where it was stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from av_tagger.cli.options import ANSWERS, ModelOptions, TalkOptions, command

if TYPE_CHECKING:
    from rich.console import Console

    from av_tagger.runner.concurrency import Concurrency
    from av_tagger.runner.journal import Choice
    from av_tagger.runner.run import Engine, Order, Summary

WHICH, PACE = "Which clips", "How it works"
INTERRUPTED = 130


@dataclass(frozen=True, kw_only=True)
class BatchOptions(TalkOptions, ModelOptions):
    inputs: Annotated[
        list[str],
        typer.Argument(
            help="Folders, files, globs, lists of paths, DCASE lists.", metavar="LIST_OR_FOLDER..."
        ),
    ]
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="The run's folder: journal, results.jsonl.",
            rich_help_panel=ANSWERS,
        ),
    ]
    format: Annotated[
        str | None,
        typer.Option(
            help="More formats: csv, dcase, srt ..., comma-separated.", rich_help_panel=ANSWERS
        ),
    ] = None
    detail: Annotated[
        bool,
        typer.Option(
            "--detail", help="Keep curves and pictures, for reports.", rich_help_panel=ANSWERS
        ),
    ] = False
    profile: Annotated[
        bool,
        typer.Option(
            "--profile", help="Where the time went; RUN/profile.png.", rich_help_panel=ANSWERS
        ),
    ] = False
    media: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of the clips that a DCASE list names.", rich_help_panel=WHICH),
    ] = None
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try again what failed.", rich_help_panel=WHICH)
    ] = False
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget what this folder knows.", rich_help_panel=WHICH)
    ] = False
    limit: Annotated[
        int | None, typer.Option(min=1, help="At most N clips.", rich_help_panel=WHICH)
    ] = None
    shuffle: Annotated[
        bool,
        typer.Option(
            "--shuffle", help="In a random order; with --limit, a sample.", rich_help_panel=WHICH
        ),
    ] = False
    seed: Annotated[int, typer.Option(help="Of --shuffle.", rich_help_panel=WHICH)] = 0
    shard: Annotated[
        str | None, typer.Option(help="i/n: every nth clip from the ith on.", rich_help_panel=WHICH)
    ] = None
    engine: Annotated[str, typer.Option(help="local or ray.", rich_help_panel=PACE)] = "local"
    address: Annotated[
        str | None,
        typer.Option(
            help="Of the Ray cluster; default: one on this machine.", rich_help_panel=PACE
        ),
    ] = None
    devices: Annotated[
        str | None,
        typer.Option(
            help="One process for each: cuda:0,cuda:1 or auto for all GPUs.", rich_help_panel=PACE
        ),
    ] = None
    processes: Annotated[
        int,
        typer.Option(
            min=0, help="Processes (Ray: actors); 0: one, or one a GPU.", rich_help_panel=PACE
        ),
    ] = 0
    workers: Annotated[
        int, typer.Option(min=0, help="Decoders of a process; 0: one a core.", rich_help_panel=PACE)
    ] = 0
    batch: Annotated[
        int,
        typer.Option(
            min=0, help="Windows judged together; 0: suits the device.", rich_help_panel=PACE
        ),
    ] = 0
    memory: Annotated[
        float,
        typer.Option(
            min=0, help="GiB of decoded windows; 0: suits the machine.", rich_help_panel=PACE
        ),
    ] = 0
    time_limit: Annotated[
        float, typer.Option(min=0.1, help="Seconds to decode one clip.", rich_help_panel=PACE)
    ] = 3600


def _batch(options: BatchOptions) -> int:
    """Tag a collection: results appear in RUN as they come, and a second start goes on."""
    from rich.console import Console

    from av_tagger.cli.batch_words import say_how_to_go_on, show_profile, show_summary, show_written
    from av_tagger.cli.progress import progress_bar
    from av_tagger.runner.run import run

    console = Console(stderr=True, highlight=False)
    formats = _check(options)
    order, engine = _order(options, console)
    try:
        with progress_bar(
            "tagging", "clips", console=console, quiet=options.quiet, log=True
        ) as bar:
            summary = run(order, engine, lambda c: bar(c.done + c.failed, c.total, c.failed))
    except KeyboardInterrupt:
        say_how_to_go_on(console, order)
        return INTERRUPTED
    show_summary(console, summary, quiet=options.quiet)
    show_written(console, _write_formats(formats, summary), quiet=options.quiet)
    if options.profile:
        show_profile(console, summary)
    return 1 if summary.counts.failed else 0


def _check(options: BatchOptions) -> tuple[str, ...]:
    """What cannot be meant is said before any network is loaded; the formats that are to be written."""
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
        raise UsageError("--address is for --engine ray")
    if options.devices is not None and (options.processes or options.engine == "ray"):
        raise UsageError(
            "--devices means one process a device; leave --processes and --engine ray out"
        )
    _choice(options)
    return formats


def _choice(options: BatchOptions) -> Choice:
    from av_tagger.runner.journal import Choice

    seed = options.seed if options.shuffle else None
    return Choice(_shard(options.shard), seed, options.limit, options.retry_failed)


def _shard(text: str | None) -> tuple[int, int]:
    from av_tagger.errors import UsageError

    if text is None:
        return 1, 1
    first, _, second = text.partition("/")
    if not (first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second)):
        raise UsageError(f"--shard {text}: expected i/n with i from 1 to n, such as 2/8")
    return int(first), int(second)


def _order(options: BatchOptions, console: Console) -> tuple[Order, Engine]:
    """The first clip must be there before networks are loaded, and these before any is tagged: a fingerprint decides what is known."""
    from av_tagger.runner.run import Order
    from av_tagger.runner.sources import at_least_one, items

    found = at_least_one(items(options.inputs, options.media or ()))
    engine, fingerprint = ENGINES[options.engine](options, console)
    print_ = fingerprint + (
        "+detail" if _detail(options) else ""
    )  # what is known without curves does not serve those who want them
    return Order(options.output, found, print_, _choice(options), options.fresh), engine


def _detail(options: BatchOptions) -> bool:
    return options.detail or "json-detail" in (options.format or "").lower().replace(" ", "").split(
        ","
    )


def _concurrency(options: BatchOptions, window_limit: float) -> Concurrency:
    from av_tagger.runner.concurrency import GIB, Concurrency

    return Concurrency(
        decoders=options.workers,
        batch=options.batch,
        memory_bytes=int(options.memory * GIB),
        window_limit=window_limit,
        clip_limit=options.time_limit,
        detail=_detail(options),
    )


def _local(options: BatchOptions, console: Console) -> tuple[Engine, str]:
    from av_tagger.cli.session import load_tagger, settings_of
    from av_tagger.runner.concurrency import in_words, suited
    from av_tagger.runner.local import Here
    from av_tagger.runner.processes import Processes, devices_of
    from av_tagger.runner.worker import FromConfig, of

    config = settings_of(options)
    concurrency = _concurrency(options, config.media.limit_seconds)
    devices = devices_of(options.devices, config.device, options.processes)
    tagger = load_tagger(options, options)
    run = tagger.parts.run
    if options.verbose:
        console.print(
            in_words(
                suited(concurrency, devices[0] or run.device, len(devices)),
                devices[0] or run.device,
            ),
            style="dim",
            soft_wrap=True,
        )
    if len(devices) == 1 and devices[0] is None:
        return Here(of(tagger, config.decoder), concurrency), run.fingerprint
    return Processes(
        [FromConfig(config, device) for device in devices], concurrency, run.fingerprint
    ), run.fingerprint


def _ray(options: BatchOptions, console: Console) -> tuple[Engine, str]:
    from av_tagger.cli.session import load_tagger, settings_of
    from av_tagger.runner.on_ray import OnRay
    from av_tagger.runner.worker import FromConfig

    config = settings_of(options)
    fingerprint = load_tagger(options, options).parts.run.fingerprint
    concurrency = _concurrency(options, config.media.limit_seconds)
    if options.verbose:
        console.print("every actor chooses its own pace for its machine", style="dim")
    return OnRay(
        FromConfig(config), concurrency, fingerprint, options.address, options.processes
    ), fingerprint


def _write_formats(formats: Sequence[str], summary: Summary) -> Counter[str]:
    """Where files went and how many; the table of the run is JSON lines already."""
    from av_tagger.reports.stored import StoredOutcomes
    from av_tagger.reports.writers import write_each

    written: Counter[str] = Counter()
    for sheet, path in write_each(
        [name for name in formats if name != "json"],
        StoredOutcomes(summary.files[0]),
        summary.folder,
    ):
        written[str(summary.folder / f"*{sheet.suffix}") if sheet.each else str(path)] += 1
    return written


ENGINES: dict[str, Callable[[BatchOptions, Console], tuple[Engine, str]]] = {
    "local": _local,
    "ray": _ray,
}

batch = command(BatchOptions, _batch)
