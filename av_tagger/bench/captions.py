"""How long the merge of sound captions into the subtitles of a long film takes."""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace

from av_tagger.clip import Clip
from av_tagger.reports.captioning import (
    CaptionSettings,
    Subtitle,
    SubtitleFile,
    caption_words,
    merge_captions,
    render_subtitles,
    sound_captions,
)
from av_tagger.reports.captioning.subtitles import parse_subtitles
from av_tagger.scores import BranchInfo, Event, RunInfo, Status, Tag, Tagged

LABELS = ("Siren", "Dog", "Thunder", "Applause", "Door", "Train horn", "Music", "Rain")
LINES_PER_HOUR = 750
SOUNDS_PER_HOUR = 600


def made_film(hours: float, seed: int = 0) -> tuple[Tagged, str]:
    """A result with random events, and the text of an SRT file with random dialogue."""
    rng = random.Random(seed)
    seconds = 3600 * hours
    spans: dict[str, list[Event]] = {label: [] for label in LABELS}
    for _ in range(round(SOUNDS_PER_HOUR * hours)):
        start = rng.uniform(0, seconds - 10)
        spans[rng.choice(LABELS)].append(Event(start, start + rng.uniform(0.2, 9.0), 0.9))
    tags = tuple(Tag(k, 0.8, 0.4, 0.9, None, tuple(v)) for k, v in spans.items() if v)
    branch = BranchInfo(Status.OK, "made")
    run = RunInfo("made", "cpu", "", 0.0)
    film = Tagged(Clip.of("film.mp4"), seconds, tags, {}, (), branch, branch, run)
    step = 1000 * seconds / max(1, round(LINES_PER_HOUR * hours))
    cues = []
    for n in range(round(LINES_PER_HOUR * hours)):
        start = round(n * step + rng.uniform(0, step / 3))
        end = start + round(rng.uniform(0.3, 0.6) * step)
        cues.append(Subtitle(start, end, f"Line {n} of the talk"))
    return film, "".join(render_subtitles(SubtitleFile("srt", tuple(cues))))


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=2.0, help="length of the made film")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args(words)
    film, text = made_film(options.hours)
    settings = replace(CaptionSettings(), repeat=0.0)  # every event is a caption
    took = []
    for _ in range(options.repeats):
        began = time.perf_counter()
        dialogue = parse_subtitles(text)
        captions = sound_captions(film, caption_words(), settings)
        merged = merge_captions(captions, settings, dialogue, film.duration_seconds)
        size = len("".join(render_subtitles(merged.file)))
        took.append(time.perf_counter() - began)
    print(
        f"film of {options.hours:g} h: {len(dialogue.cues)} lines of dialogue,"
        f" {len(captions)} sound captions, {merged.placed} placed, {merged.shared} shared,"
        f" {len(merged.left_out)} left out, {size} characters"
    )
    print(f"read, merge and write: {statistics.median(took):.3f} s (median of {options.repeats})")


if __name__ == "__main__":
    main()
