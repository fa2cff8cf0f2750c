"""How long an index over many results takes to write, and how much memory: python -m av_tagger.bench.site [RESULTS]."""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from av_tagger.clip import Clip
from av_tagger.fusion import load_fusion
from av_tagger.labels import dcase2017
from av_tagger.reports.html import Exhibit, PageOptions, write_exhibits
from av_tagger.reports.made_up import as_results, made_up_events, made_up_scores
from av_tagger.scores import Activity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from av_tagger.scores import Tagged


def main(count: int = 10_000) -> None:
    labels = dcase2017().labels
    examples = made_up_scores(labels, labels[:7], clips=200)
    results = as_results(examples, load_fusion("paper", labels), made_up_events(examples))
    activity = Activity(np.random.default_rng(0).random((100, len(labels)), np.float32), 10.0)

    def source() -> Iterator[Exhibit]:
        for n in range(count):
            one: Tagged = results[n % len(results)]
            yield Exhibit(
                replace(
                    one,
                    clip=Clip(Path(f"films/{n // 100:03d}/clip {n:06d}.mp4")),
                    activity=activity,
                )
            )

    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        index = write_exhibits(source, Path(folder), PageOptions(listen=False))
        seconds = time.perf_counter() - began
        size = index.stat().st_size
        page = next((Path(folder) / "pages").iterdir()).stat().st_size
    each = f"{1000 * seconds / count:.2f} ms each; index {size / 1e6:.2f} MB, a page {page / 1e3:.0f} kB"
    print(f"{count} pages with curves: {seconds:.1f} s, {each}")
    print(f"memory of Python at its highest, over 1000 pages: {_peak(source, 1000):.1f} MB")


def _peak(source: Callable[[], Iterator[Exhibit]], count: int) -> float:
    tracemalloc.start()
    with tempfile.TemporaryDirectory() as folder:
        write_exhibits(
            lambda: itertools.islice(source(), count), Path(folder), PageOptions(listen=False)
        )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
