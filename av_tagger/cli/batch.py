"""av-tag batch: a collection in, a run's folder out; started again it goes on where it was stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from av_tagger.cli.options import ANSWERS, ModelOptions, TalkOptions, command

if TYPE_CHECKING:
    from rich.console import Console

    from av_tagger.runner.journal import Choice, Counts
    from av_tagger.runner.pace import Pace
    from av_tagger.runner.run import Engine, Order, Summary, Watch

WHICH, PACE = "Which clips", "How it works"
INTERRUPTED = 130


@dataclass(frozen=True, kw_only=True)
class BatchOptions(TalkOptions, ModelOptions):
    inputs: Annotated[list[str], typer.Argument(help="Folders, files, globs, lists of paths, DCASE lists.", metavar="LIST_OR_FOLDER...")]
    output: Annotated[Path, typer.Option("-o", "--output", help="The run's folder: journal, results.jsonl.", rich_help_panel=ANSWERS)]
    format: Annotated[str | None, typer.Option(help="More formats: csv, dcase, srt ..., comma-separated.", rich_help_panel=ANSWERS)] = None
    detail: Annotated[bool, typer.Option("--detail", help="Keep curves and pictures, for reports.", rich_help_panel=ANSWERS)] = False
    profile: Annotated[bool, typer.Option("--profile", help="Where the time went; RUN/profile.png.", rich_help_panel=ANSWERS)] = False
    media: Annotated[list[Path] | None, typer.Option(help="Folder of the clips that a DCASE list names.", rich_help_panel=WHICH)] = None
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try again what failed.", rich_help_panel=WHICH)] = False
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget what this folder knows.", rich_help_panel=WHICH)] = False
    limit: Annotated[int | None, typer.Option(min=1, help="At most N clips.", rich_help_panel=WHICH)] = None
    shuffle: Annotated[bool, typer.Option("--shuffle", help="In a random order; with --limit, a sample.", rich_help_panel=WHICH)] = False
    seed: Annotated[int, typer.Option(help="Of --shuffle.", rich_help_panel=WHICH)] = 0
    shard: Annotated[str | None, typer.Option(help="i/n: every nth clip from the ith on.", rich_help_panel=WHICH)] = None
    engine: Annotated[str, typer.Option(help="local or ray.", rich_help_panel=PACE)] = "local"
    address: Annotated[str | None, typer.Option(help="Of the Ray cluster; default: one on this machine.", rich_help_panel=PACE)] = None
    devices: Annotated[str | None, typer.Option(help="One process for each: cuda:0,cuda:1 or auto for all GPUs.", rich_help_panel=PACE)] = (
        None
    )
    processes: Annotated[int, typer.Option(min=0, help="Processes (Ray: actors); 0: one, or one a GPU.", rich_help_panel=PACE)] = 0
    workers: Annotated[int, typer.Option(min=0, help="Decoders of a process; 0: one a core.", rich_help_panel=PACE)] = 0
    batch: Annotated[int, typer.Option(min=0, help="Windows judged together; 0: suits the device.", rich_help_panel=PACE)] = 0
    memory: Annotated[float, typer.Option(min=0, help="GiB of decoded windows; 0: suits the machine.", rich_help_panel=PACE)] = 0
    time_limit: Annotated[float, typer.Option(min=0.1, help="Seconds to decode one clip.", rich_help_panel=PACE)] = 3600


def _batch(options: BatchOptions) -> int:
    """Tag a collection: results appear in RUN as they come, and a second start goes on."""
    from rich.console import Console

    from av_tagger.cli.batch_words import say_how_to_go_on, show_profile, show_summary
    from av_tagger.runner.run import run

    console = Console(stderr=True)
    _check(options)
    order, engine = _order(options, console)
    try:
        with _Bar(console, options) as watch:
            summary = run(order, engine, watch)
    except KeyboardInterrupt:
        say_how_to_go_on(console, order)
        return INTERRUPTED
    _write_formats(options, summary, console)
    show_summary(console, summary, quiet=options.quiet)
    if options.profile:
        show_profile(console, summary)
    return 1 if summary.counts.failed else 0


def _check(options: BatchOptions) -> None:
    """What cannot be meant is said before any network is loaded."""
    from av_tagger.errors import UsageError, did_you_mean
    from av_tagger.reports.writers import check_formats

    if options.format is not None:
        check_formats(options.format.split(","))
    if options.engine not in ENGINES:
        raise UsageError(f"there is no engine {options.engine!r}; {did_you_mean(options.engine, ENGINES)}")
    if options.address is not None and options.engine != "ray":
        raise UsageError("--address is for --engine ray")
    if options.devices is not None and (options.processes or options.engine == "ray"):
        raise UsageError("--devices means one process a device; leave --processes and --engine ray out")
    _choice(options)


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
    """The engine first, since the tagger's fingerprint decides what is known already."""
    from av_tagger.runner.run import Order
    from av_tagger.runner.sources import items

    engine, fingerprint = ENGINES[options.engine](options, console)
    print_ = fingerprint + ("+detail" if options.detail else "")  # what is known without curves does not serve those who want them
    return Order(options.output, items(options.inputs, options.media or ()), print_, _choice(options), options.fresh), engine


def _pace(options: BatchOptions, window_limit: float) -> Pace:
    from av_tagger.runner.pace import GIB, Pace

    return Pace(
        decoders=options.workers,
        batch=options.batch,
        memory_bytes=int(options.memory * GIB),
        window_limit=window_limit,
        clip_limit=options.time_limit,
        detail=options.detail,
    )


def _local(options: BatchOptions, console: Console) -> tuple[Engine, str]:
    from av_tagger.cli.session import load_tagger, settings_of
    from av_tagger.runner.crew import FromConfig, of
    from av_tagger.runner.local import Here
    from av_tagger.runner.pace import in_words, suited
    from av_tagger.runner.processes import Processes, devices_of

    config = settings_of(options)
    pace = _pace(options, config.media.limit_seconds)
    devices = devices_of(options.devices, config.device, options.processes)
    tagger = load_tagger(options, options)
    run = tagger.parts.run
    if options.verbose:
        console.print(in_words(suited(pace, devices[0] or run.device, len(devices)), devices[0] or run.device), style="dim", soft_wrap=True)
    if len(devices) == 1 and devices[0] is None:
        return Here(of(tagger, config.decoder), pace), run.fingerprint
    return Processes([FromConfig(config, device) for device in devices], pace, run.fingerprint), run.fingerprint


def _ray(options: BatchOptions, console: Console) -> tuple[Engine, str]:
    from av_tagger.cli.session import load_tagger, settings_of
    from av_tagger.runner.crew import FromConfig
    from av_tagger.runner.on_ray import OnRay

    config = settings_of(options)
    fingerprint = load_tagger(options, options).parts.run.fingerprint
    pace = _pace(options, config.media.limit_seconds)
    if options.verbose:
        console.print("every actor chooses its own pace for its machine", style="dim")
    return OnRay(FromConfig(config), pace, fingerprint, options.address, options.processes), fingerprint


class _Bar:
    """A bar with rate, time left and live failures, where a person watches; else nothing."""

    def __init__(self, console: Console, options: BatchOptions) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("tagging"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
        failed = TextColumn("{task.fields[failed]}", style="red")
        self.bar = Progress(*columns, failed, console=console, transient=True, disable=options.quiet or not console.is_terminal)
        self.task = self.bar.add_task("tagging", total=None, rate="", failed="", start=False)
        self.known: int | None = None

    def __enter__(self) -> Watch:
        self.bar.start()
        return self._show

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def _show(self, counts: Counts) -> None:
        import time

        reached = counts.done + counts.failed
        if self.known is None:
            self.known, self.began = reached, time.monotonic()
            self.bar.start_task(self.task)
        rate = (reached - self.known) / max(time.monotonic() - self.began, 1e-3)
        failed = f"{counts.failed} failed" if counts.failed else ""
        words = f"{rate:.1f} clips/s" if rate else ""
        self.bar.update(self.task, total=counts.total, completed=reached, rate=words, failed=failed)


def _write_formats(options: BatchOptions, summary: Summary, console: Console) -> None:
    from av_tagger.reports.schema import read_outcomes
    from av_tagger.reports.writers import write_all

    if options.format is not None:
        outcomes = list(read_outcomes(summary.files[0]))
        for path in write_all(options.format.split(","), outcomes, summary.folder):
            if not options.quiet:
                console.print(f"wrote {path}", style="yellow", soft_wrap=True)


ENGINES: dict[str, Callable[[BatchOptions, Console], tuple[Engine, str]]] = {"local": _local, "ray": _ray}

batch = command(BatchOptions, _batch)
