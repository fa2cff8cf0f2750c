"""av-tag bench: the speed of this machine, against a plain implementation of the paper."""

from __future__ import annotations

from dataclasses import dataclass

from av_tagger.cli.options import command
from av_tagger.flags import option


@dataclass(frozen=True)
class BenchOptions:
    clips: int = option(4, "Clips to make and tag.", low=1)
    rounds: int = option(2, "Measurements of each side, in turn.", low=1)
    seconds: float = option(10.0, "Length of a clip.", low=1.0)
    kinds: str = option(
        "h264:640x360",
        "codec:WIDTHxHEIGHT, comma-separated; codecs: h264, hevc, vp9, mpeg4.",
        metavar="LIST",
    )
    fast: bool = option(False, "Sample 8 fps and use int8 frame features.")
    threads: int = option(0, "Threads of the plain side. Default: all cores.", low=0)
    device: str = option("cpu", "cpu, cuda or cuda:N.", metavar="DEVICE")
    recogniser: str = option("inception_v4", "Image classifier, a network of timm.", metavar="NAME")
    free_networks: bool = option(
        False, "Networks that cost nothing: measure the driving process against decode only."
    )
    json: bool = option(False, "Print the figures as JSON, as the last line.")


def _bench(options: BenchOptions) -> None:
    """Measure the speed of the pipeline, with random weights on clips made here."""
    from dataclasses import asdict

    from av_tagger.bench.pipeline_settings import PipelineSettings

    settings = PipelineSettings(**asdict(options))
    if settings.free_networks:
        from av_tagger.bench.driver import bench_free

        bench_free(settings)
        return
    from av_tagger.bench.pipeline import bench

    bench(settings)


bench = command(BenchOptions, _bench)
