"""Time and memory of writing the HTML pages and the index of many results.

python -m av_tagger.bench.site [--results 10000]
"""

from __future__ import annotations

import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from av_tagger.bench.measure import parser, run_main
from av_tagger.clip import Clip
from av_tagger.fusion import load_fusion
from av_tagger.labels import dcase2017
from av_tagger.reports.html import PageOptions, PageSource, write_pages
from av_tagger.reports.simulated import simulated_events, simulated_results, simulated_scores
from av_tagger.scores import Activity

MOST_TRACED = 1000  # results during which memory is traced, which is slow


def sources(count: int) -> Iterator[PageSource]:
    """Made-up results of `count` clips, with activity curves."""
    labels = dcase2017().labels
    examples = simulated_scores(labels, labels[:7], clips=200)
    results = simulated_results(examples, load_fusion("paper", labels), simulated_events(examples))
    activity = Activity(np.random.default_rng(0).random((100, len(labels)), np.float32), 10.0)
    for n in range(count):
        clip = Clip(Path(f"films/{n // 100:03d}/clip {n:06d}.mp4"))
        yield PageSource(replace(results[n % len(results)], clip=clip, activity=activity))


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--results", type=int, default=10_000)
    count = options.parse_args(words).results
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        index = write_pages(lambda: sources(count), Path(folder), PageOptions(listen=False))
        seconds = time.perf_counter() - began
        size = index.stat().st_size
        page = next((Path(folder) / "pages").iterdir()).stat().st_size
    each = f"{1000 * seconds / count:.2f} ms each"
    sizes = f"index {size / 1e6:.2f} MB, a page {page / 1e3:.0f} kB"
    print(f"{count} pages with curves: {seconds:.1f} s, {each}; {sizes}")
    traced = min(count, MOST_TRACED)
    peak = peak_megabytes(lambda: sources(traced))
    print(f"peak memory of Python over {traced} pages: {peak:.1f} MB")


def peak_megabytes(source: Callable[[], Iterator[PageSource]]) -> float:
    """The peak of all Python allocations while the pages are written."""
    tracemalloc.start()
    with tempfile.TemporaryDirectory() as folder:
        write_pages(source, Path(folder), PageOptions(listen=False))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


if __name__ == "__main__":
    run_main(main)
