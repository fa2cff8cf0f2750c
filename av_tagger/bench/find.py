"""How fast `av-tag find` searches a made collection of a million events: words and embeddings.

python -m av_tagger.bench.find [--events 1000000] [--rows 1000000] [--folder FOLDER]
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from av_tagger.bench.measure import parser, peak_mebibytes, run_main
from av_tagger.clip import Clip
from av_tagger.collection.index import Index
from av_tagger.collection.names import Names
from av_tagger.collection.query import parse
from av_tagger.collection.search import Found, search
from av_tagger.collection.sources import sources_of
from av_tagger.collection.vectors import BLOCK, VectorIndex, build, whole_blocks
from av_tagger.labels import audioset
from av_tagger.reports.embeddings import Block
from av_tagger.reports.schema import as_line
from av_tagger.scores import BranchInfo, Event, RunInfo, Status, Tag, Tagged

QUERIES = (
    "Speech",
    "siren AND NOT music",
    "any siren",
    "(dog OR cat) AND speech OVER 0.5",
    'siren NEAR/5 "car horn"',
    "speech NEAR music",
    "any vehicle LONGER 3",
    'siren PATH "/07/*.mp4"',
    "music SINCE 2000-01-01",
    "NOT speech",
)
EVENTS_PER_CLIP = 10
CLIP_SECONDS = 60.0
WIDTH = 1024  # of the embeddings of YAMNet
GROUPS = 2000  # kinds of sounds among the embeddings
DIRECTIONS = 256  # along which the embeddings vary
SHOWN = 50  # hits of a query


def made_results(events: int) -> Iterator[str]:
    """Results of clips with ten events each; few classes are frequent, most are rare."""
    rng = np.random.default_rng(0)
    labels = list(audioset().labels)
    share = 1 / np.arange(1, len(labels) + 1)
    share /= share.sum()
    branch, run = BranchInfo(Status.OK, "made"), RunInfo("0", "cpu", "", 0.0)
    for number in range(max(1, events // EVENTS_PER_CLIP)):
        chosen = rng.choice(len(labels), EVENTS_PER_CLIP, p=share)
        starts = np.sort(rng.uniform(0, CLIP_SECONDS - 6, EVENTS_PER_CLIP)).tolist()
        lengths, peaks = rng.uniform(0.2, 6, EVENTS_PER_CLIP).tolist(), rng.random(len(chosen))
        by_label: dict[str, list[Event]] = {}
        for label, start, length, peak in zip(chosen, starts, lengths, peaks, strict=True):
            event = Event(round(start, 3), round(start + length, 3), round(float(peak), 4))
            by_label.setdefault(labels[label], []).append(event)
        tags = tuple(
            Tag(label, max(e.peak for e in found), 0.3, None, None, tuple(found))
            for label, found in by_label.items()
        )
        clip = Clip(Path(f"films/{number % 100:02d}/clip {number:07d}.mp4"))
        yield as_line(Tagged(clip, CLIP_SECONDS, tags, {}, (), branch, branch, run)) + "\n"


def made_rows(count: int) -> Iterator[Block]:
    """Embeddings in groups, 100 seconds a file: they vary along few directions much, as real ones.

    The spread along the k-th direction is 1 / sqrt(k); every number has some noise of its own.
    """
    rng = np.random.default_rng(1)
    spread = (1 / np.sqrt(np.arange(1, DIRECTIONS + 1)))[:, None]
    turn = (rng.standard_normal((DIRECTIONS, WIDTH)) * spread).astype(np.float32)
    centres = rng.standard_normal((GROUPS, DIRECTIONS), np.float32)
    for start in range(0, count, BLOCK):
        numbers = np.arange(start, min(count, start + BLOCK))
        group = rng.integers(0, GROUPS, len(numbers))
        inside = rng.standard_normal((len(numbers), DIRECTIONS), np.float32) / 2
        values = (centres[group] + inside) @ turn
        values += 0.05 * rng.standard_normal(values.shape, np.float32)
        yield np.char.add("films/", (numbers // 100).astype(str)), numbers % 100, values


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--events", type=int, default=1_000_000)
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--folder", type=Path, help="keep the collection here")
    chosen = options.parse_args(words)
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if chosen.events:
            bench_words(folder, chosen.events, chosen.rounds)
            print(f"peak memory {peak_mebibytes():.0f} MB")
        if chosen.rows:
            bench_like(folder, chosen.rows, chosen.rounds)
            print(f"peak memory {peak_mebibytes():.0f} MB")


def bench_words(folder: Path, events: int, rounds: int) -> None:
    results = folder / "results.jsonl"
    if not results.exists():
        with results.open("w") as file:
            file.writelines(made_results(events))
    (source,) = sources_of([str(folder)])
    seconds = _timed(lambda: _updated(source.path.parent))
    size = source.index_path().stat().st_size
    with Index(source) as index:
        clips, count = index.counts()
        print(f"{count:,} events of {clips:,} clips, index of {size / 1e6:.0f} MB")
        again = _timed(index.update)
        results.touch()
        touched = _timed(index.update)
        print(f"update: first {seconds:.1f} s, nothing new {again * 1000:.1f} ms,", end=" ")
        print(f"table put in order again {touched:.1f} s")
        names = Names(frozenset(index.labels()))
        for text in QUERIES:
            total = search([index], parse(text), names.meaning, SHOWN).total
            times = [_timed(partial(_searched, index, text, names)) for _ in range(rounds)]
            median, worst = (1000 * f(times) for f in (statistics.median, max))
            print(f"{text:36s} {total:7,} hits  {median:6.1f} ms (worst {worst:.1f})")


def _searched(index: Index, text: str, names: Names) -> Found:
    return search([index], parse(text), names.meaning, SHOWN)


def _updated(folder: Path) -> None:
    (source,) = sources_of([str(folder)])
    with Index(source) as index:
        index.update()


def bench_like(folder: Path, rows: int, rounds: int) -> None:
    place = folder / "made.like"
    if not place.exists():
        seconds = _timed(lambda: build(made_rows(rows), place, "made"))
        print(f"vectors: {rows:,} rows of {WIDTH}, written in {seconds:.1f} s")
    index = VectorIndex(place)
    rng = np.random.default_rng(2)
    chosen = np.sort(rng.choice(len(index), min(rounds, len(index)), replace=False))
    asked = [row + noise(rng) for row in index.whole(chosen)]
    index.nearest(asked[0], SHOWN)
    times = [_timed(partial(index.nearest, query, SHOWN)) for query in asked]
    median, worst = (1000 * f(times) for f in (statistics.median, max))
    print(f"like: {len(index):,} rows  {median:.1f} ms (worst {worst:.1f})")
    shares = [recall(index, query) for query in asked]
    print(f"like: {statistics.mean(shares):.3f} of the {SHOWN} nearest by exact cosine are found")


def noise(rng: np.random.Generator) -> np.ndarray:
    """Another recording of the same sound."""
    return rng.standard_normal(WIDTH).astype(np.float32) * 0.02


def recall(index: VectorIndex, query: np.ndarray) -> float:
    """The share of the exact nearest rows that a search returns."""
    exact = np.concatenate([block @ query for _, block in whole_blocks(index.folder)])
    best = index.rows[np.argsort(-exact)[:SHOWN]].tolist()
    found = {(n.file, n.second) for n in index.nearest(query, SHOWN)}
    return sum((index.files[f], s) in found for f, s in best) / max(1, len(best))


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    run_main(main)
