"""av-tag bench: the speed of this machine, against a plain implementation of the paper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from av_tagger.cli.options import command


@dataclass(frozen=True)
class BenchOptions:
    clips: Annotated[int, typer.Option(min=1, help="Clips to make and tag.")] = 4
    rounds: Annotated[int, typer.Option(min=1, help="Measurements of each side, in turn.")] = 2
    seconds: Annotated[float, typer.Option(min=1.0, help="Length of a clip.")] = 10.0
    kinds: Annotated[
        str, typer.Option(help="codec:WIDTHxHEIGHT, comma-separated; h264, hevc, vp9, mpeg4.")
    ] = "h264:640x360"
    fast: Annotated[bool, typer.Option("--fast", help="Sample 8 fps and use int8 features.")] = (
        False
    )
    threads: Annotated[int, typer.Option(min=0, help="Of the plain side; 0: all cores.")] = 0
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu"
    recogniser: Annotated[str, typer.Option(help="Image classifier, a network of timm.")] = (
        "inception_v4"
    )


def _bench(options: BenchOptions) -> None:
    """Measure the speed of the pipeline, with random weights on clips made here."""
    from dataclasses import asdict

    from av_tagger.bench.pipeline import PipelineSettings, bench

    bench(PipelineSettings(**asdict(options)))


bench = command(BenchOptions, _bench)
