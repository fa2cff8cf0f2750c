"""How well an ear's events lie in time, on real recordings mixed into scenes at known times.

Run: python -m av_tagger.studies.event_times SOUNDS [--ear yamnet+starter] [--scenes 150]

SOUNDS has dev.csv and train.csv with the recordings. The classes of each scene are given, so that
only times are scored. With `--centres` it prints instead where the first row of a published ear is
centred: bursts are added to a quiet street, and the rows that change are averaged.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from av_tagger.audio import ears
from av_tagger.audio.events import EventSettings, ending_by, find_events
from av_tagger.audio.known.ear import KnownEar
from av_tagger.audio.waveforms import resampled
from av_tagger.clip import Waveform
from av_tagger.config import configure
from av_tagger.dcase import SoundEvent
from av_tagger.errors import UsageError
from av_tagger.evaluation.detection import Events, score_events
from av_tagger.plan import make_plan
from av_tagger.protocols import AudioBranch
from av_tagger.studies.event_scenes import RATE, SCENES, SoundBank, TimedScene, read_bank

COLLARS = (0.2, 0.5)  # seconds
OFFSET_SHARE = 0.2  # an offset may differ by this share of the event
BURST_SECONDS, BURST_LEVEL = 0.2, 0.3
STREETS, STREET_LEVEL = 12, np.float32(0.01)
CHANGED = 0.25  # rows that change by this share of the largest change count


@dataclass(frozen=True)
class TimeScores:
    """Figures of one kind of scene."""

    segments: tuple[float, float]  # F1 over segments of 1 s and of 0.1 s
    events: tuple[float, ...]  # F1 by collar
    onset: tuple[float, float]  # seconds, median and median size of the error
    offset: tuple[float, float]

    def row(self) -> list[str]:
        errors = [f"{m:+.2f} ({s:.2f}) s" for m, s in (self.onset, self.offset)]
        return [f"{f1:.3f}" for f1 in (*self.segments, *self.events)] + errors


Find = Callable[[TimedScene], Sequence[SoundEvent]]


@dataclass(frozen=True)
class Finder:
    """An ear with its thresholds: finds the events of given classes."""

    ear: AudioBranch
    thresholds: Mapping[str, float]
    settings: EventSettings

    def __call__(self, scene: TimedScene) -> list[SoundEvent]:
        (scores,) = self.ear.hear([resampled(scene.waveform, self.ear.rate)])
        found, activity = [], scores.activity
        assert activity is not None
        for label in sorted({event.label for event in scene.events}):
            column = activity.values[:, scores.labels.index(label)]
            settings = self.settings.at(self.thresholds[label])
            events = find_events(column, activity.rate, activity.start_seconds, settings)
            ended = ending_by(events, len(scene.samples) / RATE)
            found += [SoundEvent(label, e.start, e.end) for e in ended]
        return found


def finder(name: str, settings: EventSettings | None = None) -> Finder:
    """The ear as `av-tag --ear NAME --only ear` uses it."""
    plan = make_plan(configure(flags={"ear": name, "only": "ear", "offline": True}))
    rows = plan.fusion.rows.ear
    if plan.ear is None or rows is None:
        raise UsageError(f"{name}: has no thresholds; give an ear that has a calibration")
    thresholds = dict(zip(plan.classes.labels, map(float, rows), strict=True))
    return Finder(ears.load(plan.ear, "cpu"), thresholds, settings or plan.config.events)


def scores_of(truth: Events, found: Events) -> TimeScores:
    """Over all classes of the truth together."""
    labels = sorted({e.label for events in truth.values() for e in events})
    coarse, fine = (score_events(truth, found, labels, s).overall.f1 for s in (1.0, 0.1))
    errors = [pair for name in truth for pair in _errors(truth[name], found[name])]
    columns = np.array(errors or [(np.nan, np.nan)]).T
    onset, offset = ((float(np.median(e)), float(np.median(np.abs(e)))) for e in columns)
    return TimeScores(
        (coarse, fine), tuple(event_f1(truth, found, c) for c in COLLARS), onset, offset
    )


def event_f1(truth: Events, found: Events, collar: float) -> float:
    """Of events whose onset and offset lie within a collar of those of a true event."""
    right = sum(_matches(truth[name], found[name], collar) for name in truth)
    total = sum(len(truth[name]) + len(found[name]) for name in truth)
    return 2 * right / max(total, 1)


def _matches(truth: Sequence[SoundEvent], found: Sequence[SoundEvent], collar: float) -> int:
    """Each true event with the first event that is still free."""
    free, count = list(found), 0
    for event in truth:
        late = max(collar, OFFSET_SHARE * (event.end - event.start))
        for other in free:
            near = abs(other.start - event.start) <= collar and abs(other.end - event.end) <= late
            if near and other.label == event.label:
                free.remove(other)
                count += 1
                break
    return count


def _errors(
    truth: Sequence[SoundEvent], found: Sequence[SoundEvent]
) -> Iterator[tuple[float, float]]:
    """Errors of onset and offset of each true event that overlaps with what was found."""
    for event in truth:
        same = [f for f in found if f.label == event.label]
        same = [f for f in same if f.start < event.end and f.end > event.start]
        if same:
            yield min(f.start for f in same) - event.start, max(f.end for f in same) - event.end


def measured(find: Find, bank: SoundBank, kind: str, scenes: int) -> TimeScores:
    """Figures of the first scenes of a kind."""
    made = {f"{kind} {n}": SCENES[kind](bank, n) for n in range(scenes)}
    truth = {name: scene.events for name, scene in made.items()}
    return scores_of(truth, {name: find(scene) for name, scene in made.items()})


def first_centres(
    ear: KnownEar, street: NDArray[np.float32], draw: np.random.Generator
) -> list[float]:
    """Seconds at which row 0 of the network is centred, from each burst."""
    length = round(BURST_SECONDS * ear.rate)
    burst = draw.standard_normal(length) * np.hanning(length) * BURST_LEVEL
    quiet, found = _rows(ear, street), list[float]()
    for time in np.arange(2.0, 7.0, 0.33):
        sound, first = street.copy(), round(time * ear.rate) - length // 2
        sound[first : first + length] += burst.astype(np.float32)
        change = np.abs(_rows(ear, sound) - quiet).sum(axis=1)
        change[change < CHANGED * change.max()] = 0.0
        row = (change * np.arange(len(change))).sum() / change.sum()
        found.append(float(time - row * ear.family.frames.hop))
    return found


def _rows(ear: KnownEar, samples: NDArray[np.float32]) -> NDArray[np.float64]:
    with torch.inference_mode():
        rows = ear.network.embed(torch.from_numpy(samples)[None].to(ear.device))
    return rows[0].double().cpu().numpy()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="av_tagger.studies.event_times")
    parser.add_argument("sounds", type=Path)
    parser.add_argument("--ear", default="yamnet+starter")
    parser.add_argument("--scenes", type=int, default=150)
    parser.add_argument("--gap", type=float, default=EventSettings.gap_seconds)
    parser.add_argument("--low", type=float, default=EventSettings.low)
    parser.add_argument("--centres", action="store_true")
    options = parser.parse_args(arguments)
    bank = read_bank(options.sounds)
    if options.centres:
        _print_centre(options.ear, bank)
        return
    settings = EventSettings(low=options.low, gap_seconds=options.gap)
    find = finder(options.ear, settings)
    bank = bank.of(find.ear.labels)
    print("| scenes | segments 1 s | 0.1 s | events ±0.2 s | ±0.5 s | onset | offset |")
    print("|---|---|---|---|---|---|---|")
    for kind in SCENES:
        cells = [kind, *measured(find, bank, kind, options.scenes).row()]
        print("| " + " | ".join(cells) + " |", flush=True)


def _print_centre(name: str, bank: SoundBank) -> None:
    ear = ears.load_ear(name, "cpu", offline=True)
    if not isinstance(ear, KnownEar):
        raise UsageError(f"{name}: is no published network; give yamnet or efficientat:mn10")
    draw, found = np.random.default_rng(0), list[float]()
    for _ in range(STREETS):
        bed = bank.background(draw, 9.6) * STREET_LEVEL
        found += first_centres(ear, resampled(Waveform(bed, RATE), ear.rate).samples, draw)
    error = np.std(found) / np.sqrt(len(found))
    print(f"{name}: row 0 is centred at {np.mean(found):.3f} s (standard error {error:.3f})")


if __name__ == "__main__":
    main()
