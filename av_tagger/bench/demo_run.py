"""A run of demo scenes with made results: the example data of the pictures of the documentation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from av_tagger.clip import Clip
from av_tagger.collection.index import Index
from av_tagger.collection.names import Names
from av_tagger.collection.query import parse
from av_tagger.collection.search import Found, search
from av_tagger.collection.sources import sources_of
from av_tagger.reports.schema import as_line
from av_tagger.scores import BranchInfo, ClassScore, Event, RunInfo, Status, Tag, Tagged
from av_tagger.synth.pictures import demo_scene
from av_tagger.synth.scene import Scene

DATE = 1_772_366_400  # 2026-03-01, as the date of each film
SIZE = (320, 180)


def made_result(scene: Scene, path: Path, seed: int) -> Tagged:
    """A result with the true times of the scene's events; peaks are drawn at random."""
    random = np.random.default_rng(seed)
    tags = []
    for label in dict.fromkeys(event.label for event in scene.events):
        times = [(e.start, e.end) for e in scene.events if e.label == label]
        events = tuple(Event(a, b, round(float(random.uniform(0.55, 0.98)), 2)) for a, b in times)
        best = max(event.peak for event in events)
        tags.append(Tag(label, best, 0.5, best, None, events))
    scores = {
        tag.label: ClassScore(tag.probability, tag.heard, None, tag.threshold) for tag in tags
    }
    ear, eye = BranchInfo(Status.OK, "truth"), BranchInfo(Status.OFF, "none")
    seconds = len(scene.samples) / scene.rate
    info = RunInfo("", "", "", 0.0)
    return Tagged(Clip(path), seconds, tuple(tags), scores, (), ear, eye, info)


def write_run(run: Path, seeds: Sequence[int]) -> list[Tagged]:
    """The results of one demo scene per seed as `run`/results.jsonl, without their films."""
    run.mkdir(parents=True, exist_ok=True)
    results = [
        made_result(demo_scene(seed)[0], run / f"street {seed:02}.mp4", seed) for seed in seeds
    ]
    lines = "".join(as_line(result) + "\n" for result in results)
    (run / "results.jsonl").write_text(lines, encoding="ascii")
    return results


def write_films(results: Sequence[Tagged], seeds: Sequence[int]) -> None:
    """The films of `write_run`, small ones, all with the same date."""
    from av_tagger.media.write import write_video

    for result, seed in zip(results, seeds, strict=True):
        scene, images, fps = demo_scene(seed, size=SIZE, fps=6.0)
        path = write_video(result.clip.path, images, fps, scene.samples, scene.rate)
        os.utime(path, (DATE, DATE))


def find_in(run: Path, query: str, limit: int = 20) -> Found:
    """What `av-tag find RUN QUERY` finds."""
    (source,) = sources_of([str(run)])
    with Index(source) as index:
        index.update()
        return search([index], parse(query), Names(frozenset(index.labels())).meaning, limit)
