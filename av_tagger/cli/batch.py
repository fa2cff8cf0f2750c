"""av-tag batch: tags a collection into a run folder; the same command again resumes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from av_tagger.cli.batch_options import BatchOptions
from av_tagger.cli.options import command

if TYPE_CHECKING:
    from av_tagger.cli.console import Console
    from av_tagger.runner.run import Engine, RunRequest, Summary
    from av_tagger.runner.selection import Selection

INTERRUPTED = 130


def _batch(options: BatchOptions) -> int:
    """Tag a collection into RUN; run the same command again to resume."""
    from av_tagger.cli.batch_summary import (
        show_interrupted,
        show_profile,
        show_summary,
        show_written,
    )
    from av_tagger.cli.console import stderr_console
    from av_tagger.cli.progress import progress_bar
    from av_tagger.runner.run import RunRequest, reserve, run

    console = stderr_console()
    formats = _check(options)
    skipped: list[Path] = []
    with reserve(RunRequest(options.output, (), "", _selection(options), options.fresh)):
        request, engine = _request(options, console, skipped)
        try:
            with progress_bar(
                "tagging", "clips", console=console, quiet=options.quiet, log=True
            ) as bar:
                summary = run(request, engine, lambda c: bar(c.done + c.failed, c.total, c.failed))
        except KeyboardInterrupt:
            show_interrupted(console, request)
            return INTERRUPTED
    show_summary(console, summary, quiet=options.quiet, skipped=skipped)
    show_written(console, _write_formats(formats, summary), quiet=options.quiet)
    if options.profile:
        show_profile(console, summary)
    return 1 if summary.counts.failed else 0


def _check(options: BatchOptions) -> tuple[str, ...]:
    """Refuse wrong flags before any network is loaded; returns the formats to write."""
    from av_tagger.cli.batch_engines import ENGINES
    from av_tagger.errors import UsageError, did_you_mean
    from av_tagger.media.paths import exists, is_folder
    from av_tagger.reports.writers import check_formats
    from av_tagger.runner.engines import MODES
    from av_tagger.runner.sources import check_inputs

    formats = () if options.format is None else check_formats(options.format.split(","))
    check_inputs(options.inputs, options.media or ())
    if exists(options.output) and not is_folder(options.output):
        raise UsageError(f"{options.output}: is a file; name a folder for the run with -o")
    if options.engine not in ENGINES:
        raise UsageError(
            f"there is no engine {options.engine!r}; {did_you_mean(options.engine, ENGINES)}"
        )
    if options.decode not in MODES:
        raise UsageError(f"--decode {options.decode}: {did_you_mean(options.decode, MODES)}")
    if options.address is not None and options.engine != "ray":
        raise UsageError("--address needs --engine ray")
    if options.devices is not None and (options.processes or options.engine == "ray"):
        raise UsageError(
            "--devices starts one process per device; leave out --processes and --engine ray"
        )
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


def _request(
    options: BatchOptions, console: Console, skipped: list[Path]
) -> tuple[RunRequest, Engine]:
    """Find a first clip, then load networks. With --detail or --where, all results have these.

    While the run lists its clips, files that are not media are appended to `skipped`.
    """
    from av_tagger.cli.batch_engines import ENGINES, wants_detail
    from av_tagger.cli.session import say
    from av_tagger.runner.run import RunRequest
    from av_tagger.runner.sources import at_least_one, items

    def remark(text: str) -> None:
        say(text, options, console)

    found = at_least_one(items(options.inputs, options.media or (), skipped, remark))
    engine, fingerprint = ENGINES[options.engine](options, console)
    fingerprint += "+detail" if wants_detail(options) else ""
    fingerprint += "+where" if options.given.get("where") else ""
    selection = _selection(options)
    return RunRequest(options.output, found, fingerprint, selection, options.fresh, True), engine


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
