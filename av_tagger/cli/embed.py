"""av-tag embed: writes one embedding per second, to train classes of your own on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from av_tagger.cli.help import counted
from av_tagger.cli.options import TalkOptions, command
from av_tagger.flags import RunFlags, argument, option, required, same


@dataclass(frozen=True, kw_only=True)
class EmbedOptions(TalkOptions):
    inputs: list[str] = argument("FILE...", "Files, folders or globs.")
    output: Path = required("An .npz or .parquet file.", "-o", "--output", metavar="FILE")
    ear: str = option(
        "auto",
        "Audio network: auto, efficientat:mn04, efficientat:mn10, yamnet, or a weights file.",
        metavar="NAME",
    )
    device: str = same(RunFlags, "device")
    offline: bool = same(RunFlags, "offline")


def _embed(options: EmbedOptions) -> int:
    """Write one embedding per second of each file."""
    from av_tagger.cli.console import stderr_console
    from av_tagger.cli.inputs import at_hand, gather
    from av_tagger.cli.styles import ERROR
    from av_tagger.embedder import load_embedder
    from av_tagger.reports.embeddings import check_target, write_embeddings

    errors = stderr_console()
    check_target(options.output)
    found = gather(options.inputs)
    embedder = load_embedder(options.ear, options.device, offline=options.offline)
    with at_hand(found, offline=options.offline, quiet=options.quiet) as jobs:
        rows, failed = embedder.embed(jobs.items)
    for failure in failed:
        errors.say(f"av-tag: {failure.message}", ERROR)
    write_embeddings(rows, options.output, embedder.name)
    if not options.quiet:
        seconds = sum(len(values) for values in rows.values())
        what = f"{counted(len(rows), 'file')}, {counted(seconds, 'embedding')}"
        counts = f"{what} of {embedder.width} numbers"
        errors.say(f"wrote {options.output}: {counts} by {embedder.name}")
    return 1 if failed else 0


embed = command(EmbedOptions, _embed)
