"""Live listening: processor time, latency, equality with plain windows, start, and a long run.

    python -m av_tagger.bench.live [--ear starter] [--minutes 5] [--real 60] [--hours 24]
                                   [--starts 5] [--film FILE]

The stream is made: a sound of a known class every ten seconds over quiet noise. Processor time is
that of this process on one thread. `--real` plays it in real time and measures from the onset of
a sound to its `open` line. `--hours` is simulated with an ear that measures loudness, with 20
disconnections of 5 s: memory, lost events, and the drift of times. `--starts` starts `av-tag
listen` in processes of their own, and measures to the first prediction, with the memory at its
end; `--ear` may be an exported ear. `--film`: the processor time of ear and eye on a film, whose
key frames are compared with those of `av-tag FILE`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from av_tagger.bench.live_runs import film, starts
from av_tagger.bench.measure import parser, run_main
from av_tagger.clip import Clip, Media, Samples, Waveform
from av_tagger.fusion import load_fusion
from av_tagger.live.lines import LineKind, LiveLine
from av_tagger.live.listener import Listener
from av_tagger.live.run import LiveRun, PlainOutput
from av_tagger.live.sources.base import SoundBlock, StreamBroken, StreamItem, StreamOpened
from av_tagger.plan import load
from av_tagger.protocols import DecodeRequest
from av_tagger.scores import Activity, BranchInfo, RunInfo, Scores, Status
from av_tagger.synth.dsp import SampleSpan
from av_tagger.synth.scene import render
from av_tagger.tagger import Parts, Tagger

PERIOD, SOUND, ONSET = 10.0, 3.0, 4.0  # seconds
BLOCK = 0.02  # seconds, as a microphone or a camera delivers
LABEL = "Train horn"
DISCONNECTIONS, AWAY = 20, 5.0
ENDURANCE_RATE = 1000
CLIP = Clip(Path("stream"))


class Answers(PlainOutput):
    """Keeps opening lines, with the time since the stream began."""

    def __init__(self) -> None:
        self.opened: list[tuple[float, float]] = []  # onset, when it was said
        self.began = time.monotonic()

    def take(self, line: LiveLine) -> None:
        if line.kind is LineKind.OPEN:
            self.opened.append((line.start, time.monotonic() - self.began))


class LoudnessEar:
    """Scores one class by the peak of each tenth of a second."""

    labels = (LABEL,)
    rate = ENDURANCE_RATE
    info = BranchInfo(Status.OK, "loudness", "none")

    def hear(self, waveforms: Sequence[Waveform]) -> list[Scores]:
        return [self._one(w) for w in waveforms]

    def _one(self, wave: Waveform) -> Scores:
        frame = self.rate // 10
        count = max(1, len(wave.samples) // frame)
        loud = np.abs(wave.samples[: count * frame]).reshape(count, -1).max(axis=1)
        values = np.minimum(loud, 1.0)[:, None].astype(np.float32)
        activity = Activity(values, 10.0, wave.start_seconds)
        return Scores(self.labels, values.max(axis=0).astype(np.float64), activity=activity)


def made_stream(rate: int, seconds: float) -> Samples:
    rng = np.random.default_rng(0)
    samples = (rng.standard_normal(round(seconds * rate)) * 0.002).astype(np.float32)
    for n in range(int(seconds / PERIOD)):
        sound = render(0, LABEL, SampleSpan(rate, SOUND))
        first = round((n * PERIOD + ONSET) * rate)
        room = samples[first : first + len(sound)]
        room += sound[: len(room)]
    return samples


def blocks(samples: Samples, rate: int, *, real: bool = False) -> Iterator[StreamItem]:
    yield StreamOpened(sound=True, pictures=False)
    size, began = round(BLOCK * rate), time.monotonic()
    for first in range(0, len(samples), size):
        if real:
            time.sleep(max(0.0, (first + size) / rate - (time.monotonic() - began)))
        yield SoundBlock(samples[first : first + size], first / rate)


def processor_time(tagger: Tagger, seconds: float) -> None:
    listener, answers = Listener(tagger), Answers()
    samples = made_stream(listener.rate, seconds)
    LiveRun(Listener(tagger), [Answers()]).run(blocks(samples[: listener.rate * 12], listener.rate))
    began = time.process_time()
    LiveRun(listener, [answers]).run(blocks(samples, listener.rate))
    used = (time.process_time() - began) / seconds
    print(f"processor time {used:.4f} s per second of sound, {len(answers.opened)} events")


def equality(tagger: Tagger, seconds: float) -> None:
    """Largest difference between live windows and the same windows scored by the plain ear."""
    listener = Listener(tagger)
    samples = made_stream(listener.rate, seconds)
    live, worst, count = listener.tagger.hear, 0.0, 0

    def both(windows: Sequence[Media]) -> list[Scores]:
        nonlocal worst, count
        mine, plain = live(windows), tagger.hear(windows)
        for a, b in zip(mine, plain, strict=True):
            assert a.activity is not None
            assert b.activity is not None
            values = np.abs(a.activity.values - b.activity.values)
            apart = np.abs(a.probabilities - b.probabilities)
            worst, count = max(worst, np.nanmax(values), np.nanmax(apart)), count + 1
        return mine

    listener.tagger.hear = both  # type: ignore[method-assign]
    LiveRun(listener, []).run(blocks(samples, listener.rate))
    print(f"equality       largest difference {worst:.1e} over {count} windows")


def latency(tagger: Tagger, seconds: float) -> None:
    listener, answers = Listener(tagger), Answers()
    samples = made_stream(listener.rate, seconds)
    answers.began = time.monotonic()
    LiveRun(listener, [answers]).run(blocks(samples, listener.rate, real=True))
    late = [said - onset for onset, said in answers.opened]
    if not late:
        print("latency        no event was found")
        return
    median, slowest = np.quantile(late, [0.5, 0.99])
    print(
        f"latency        median {median:.2f} s, 99 % {slowest:.2f} s from onset to line,"
        f" {len(late)} events"
    )


def endurance(hours: float) -> None:
    """Many hours through a listener, broken off 20 times."""
    clock = [0.0]
    part = hours * 3600 / (DISCONNECTIONS + 1)
    part = max(PERIOD, part // PERIOD * PERIOD)
    period = loud_period()
    memory: list[int] = []

    def items() -> Iterable[StreamItem]:
        for n in range(DISCONNECTIONS + 1):
            yield StreamOpened(sound=True, pictures=False)
            for k in range(round(part / PERIOD)):
                clock[0] += PERIOD
                yield SoundBlock(period, k * PERIOD)
                memory.append(resident())
            if n < DISCONNECTIONS:
                yield StreamBroken("the camera: is away")
                clock[0] += AWAY

    answers = Answers()
    run = LiveRun(Listener(loud_tagger()), [answers], monotonic=lambda: clock[0])
    run.run(iter(items()))
    expected = [
        n * (part + AWAY) + k * PERIOD + ONSET
        for n in range(DISCONNECTIONS + 1)
        for k in range(round(part / PERIOD))
    ]
    onsets = [onset for onset, _ in answers.opened]
    lost = len(expected) - len(onsets)
    drift = max((abs(a - b) for a, b in zip(onsets, expected, strict=False)), default=0.0)
    settled = memory[len(memory) // 10]
    print(
        f"endurance      {clock[0] / 3600:.2f} h, {run.gaps} gaps, {len(onsets)} events,"
        f" {lost} lost, drift {drift:.3f} s, memory"
        f" {settled / 2**20:.0f} -> {memory[-1] / 2**20:.0f} MiB"
    )


def loud_period() -> Samples:
    samples = np.full(round(PERIOD * ENDURANCE_RATE), 0.01, np.float32)
    samples[round(ONSET * ENDURANCE_RATE) : round((ONSET + SOUND) * ENDURANCE_RATE)] = 0.99
    return samples


def loud_tagger() -> Tagger:
    request = DecodeRequest(audio_rate=ENDURANCE_RATE, short_side=None)
    run = RunInfo("bench", "cpu", "", 0.0)

    def closed(clip: Clip, request: DecodeRequest) -> Iterator[Media]:
        raise NotImplementedError(f"{clip.name}: {request}")

    parts = Parts((LABEL,), LoudnessEar(), None, load_fusion("even", (LABEL,)), closed, request)
    return Tagger(Parts(**{**parts.__dict__, "run": run, "threshold": 0.5}))


def resident() -> int:
    """Bytes of memory of this process."""
    text = Path("/proc/self/statm").read_text(encoding="ascii")
    return int(text.split()[1]) * 4096


def main(argv: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--ear", default="starter")
    options.add_argument("--minutes", type=float, default=5.0)
    options.add_argument("--real", type=float, default=0.0, help="seconds in real time")
    options.add_argument("--hours", type=float, default=0.0, help="hours, simulated")
    options.add_argument("--starts", type=int, default=0, help="processes to start")
    options.add_argument("--film", type=Path, nargs="*", default=[], help="films, with the eye")
    given = options.parse_args(argv)
    torch.set_num_threads(1)
    if given.starts:
        starts(given.ear, given.starts)
    for path in given.film:
        film(load(ear=given.ear, device="cpu"), path)
    if given.minutes or given.real:
        tagger = load(ear=given.ear, only="ear", device="cpu")
        if given.minutes:
            processor_time(tagger, given.minutes * 60)
            equality(tagger, min(60.0, given.minutes * 60))
        if given.real:
            latency(tagger, given.real)
    if given.hours:
        endurance(given.hours)


if __name__ == "__main__":
    run_main(main)
