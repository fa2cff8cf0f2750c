"""av-tag embed: writes what an ear makes of each second, for people who train classes of their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from av_tagger.cli.options import TalkOptions, command


@dataclass(frozen=True, kw_only=True)
class EmbedOptions(TalkOptions):
    inputs: Annotated[list[str], typer.Argument(help="Files, folders or globs.", metavar="FILE...")]
    output: Annotated[Path, typer.Option("-o", "--output", help="An .npz or .parquet file.")]
    ear: Annotated[
        str,
        typer.Option(help="auto, efficientat:mn04, efficientat:mn10, yamnet, or a weights file."),
    ] = "auto"
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto"
    offline: Annotated[bool, typer.Option("--offline", help="Never touch the network.")] = False


def _embed(options: EmbedOptions) -> int:
    """Write one embedding a second of each file."""
    from rich.console import Console
    from rich.text import Text

    from av_tagger.cli.session import gather
    from av_tagger.embedder import load_embedder
    from av_tagger.reports.embeddings import check_target, write_embeddings

    errors = Console(stderr=True)
    check_target(options.output)
    jobs = gather(options.inputs)
    embedder = load_embedder(options.ear, options.device, offline=options.offline)
    rows, failed = embedder.embed(jobs.items)
    for failure in failed:
        errors.print(Text(f"av-tag: {failure.message}", style="red"), soft_wrap=True)
    write_embeddings(rows, options.output, embedder.name)
    if not options.quiet:
        seconds = sum(len(values) for values in rows.values())
        counts = f"{len(rows)} files, {seconds} seconds, {embedder.width} numbers each by {embedder.name}"
        errors.print(f"{counts}: {options.output}", soft_wrap=True)
    return 1 if failed else 0


embed = command(EmbedOptions, _embed)
