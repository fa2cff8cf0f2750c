"""av-tag bench: how fast this machine is, against the paper's steps done plainly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from av_tagger.cli.options import command


@dataclass(frozen=True)
class BenchOptions:
    clips: Annotated[int, typer.Option(min=1, help="How many clips are made and tagged.")] = 4
    rounds: Annotated[int, typer.Option(min=1, help="How often the two sides take turns.")] = 2
    seconds: Annotated[float, typer.Option(min=1.0, help="Length of a clip.")] = 10.0
    kinds: Annotated[
        str, typer.Option(help="codec:WIDTHxHEIGHT, comma-separated; h264, hevc, vp9, mpeg4.")
    ] = "h264:640x360"
    fast: Annotated[
        bool, typer.Option("--fast", help="The runner takes 8 candidate frames a second.")
    ] = False
    threads: Annotated[int, typer.Option(min=0, help="Of the naive side; 0: all cores.")] = 0
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu"


def _bench(options: BenchOptions) -> None:
    """Measure the pipeline on clips made here; random weights, so speed alone."""
    import dataclasses
    import importlib

    pipeline = importlib.import_module(
        "av_tagger.bench.pipeline"
    )  # a layer above: benchmarks may use everything
    pipeline.bench(pipeline.Settings(**dataclasses.asdict(options)))


bench = command(BenchOptions, _bench)
