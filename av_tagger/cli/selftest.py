"""av-tag doctor --self-test: made scenes with known truth through ear, eye and decoder."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av_tagger.clip import Waveform
    from av_tagger.tagger import Tagger

CLOCK = "Clock"
SECONDS = 6.0
# Loud, clean scenes that every published and shipped ear puts first among the 17 classes. It tests
# whether an installation computes what it should, not how good an ear is: see the model cards.
SCENES = {  # class: seed
    "Air horn, truck horn": 4,
    "Bicycle": 3,
    "Car alarm": 3,
    "Civil defense siren": 3,
    "Screaming": 1,
}
TOP = 3  # the true class is among so many with the highest scores
MOST_WRONG = 1  # scenes that an ear may miss


@dataclass(frozen=True)
class Check:
    """One line of the self-test."""

    subject: str
    found: str
    passed: bool


def run(given: Mapping[str, Any]) -> Iterator[Check]:
    """Checks of a tagger with these flags; its classes are the 17 and Clock."""
    from av_tagger.config import configure
    from av_tagger.labels import dcase2017
    from av_tagger.plan import make_plan

    began = time.perf_counter()
    classes = ";".join((*dcase2017().labels, CLOCK))
    plan = make_plan(configure(None, {**given, "classes": classes}), download=False)
    tagger = plan.build()
    if tagger.parts.ear is not None:
        yield from _ear(tagger)
    yield from _video(tagger)
    yield Check("self-test", f"took {time.perf_counter() - began:.0f} s", True)


def _ear(tagger: Tagger) -> Iterator[Check]:
    known = _heard(tagger, _silence(_rate(tagger)))
    scenes = {label: seed for label, seed in SCENES.items() if label in known}
    if not scenes:
        yield Check("ear: sounds", "knows none of the made sounds: not tested", True)
        return
    places = {label: _place(tagger, label, seed) for label, seed in scenes.items()}
    wrong = [f"{label} only at place {n}" for label, n in places.items() if n > TOP]
    right = f"{len(places) - len(wrong)} of {len(places)} made sounds among the top {TOP}"
    yield Check("ear: sounds", "; ".join([right, *wrong]), len(wrong) <= MOST_WRONG)
    tagged = [label for label, score in known.items() if score >= 0.5]
    yield Check("ear: silence", f"tagged {', '.join(tagged)}" if tagged else "no tag", not tagged)


def _place(tagger: Tagger, label: str, seed: int) -> int:
    """1 if the class has the highest score in a scene of this class alone."""
    from av_tagger.synth.scene import SceneSettings, scene

    clean = SceneSettings((1,), bed=0.0, distractor=0.0, recorder=0.0, peak_db=(-3.0, -3.0))
    scores = _heard(tagger, scene(seed, SECONDS, _rate(tagger), (label,), clean).waveform)
    return 1 + sum(score > scores[label] for score in scores.values())


def _rate(tagger: Tagger) -> int:
    assert tagger.parts.ear is not None
    return tagger.parts.ear.rate


def _silence(rate: int) -> Waveform:
    import numpy as np

    from av_tagger.clip import Waveform

    return Waveform(np.zeros(round(SECONDS * rate), np.float32), rate)


def _heard(tagger: Tagger, sound: Waveform) -> dict[str, float]:
    """Scores of the classes of the test that the ear knows: it may know hundreds of others."""
    import numpy as np

    assert tagger.parts.ear is not None
    wanted = set(tagger.parts.labels) - {CLOCK}
    (scores,) = tagger.parts.ear.hear([sound])
    pairs = zip(scores.labels, scores.probabilities, strict=True)
    return {label: float(p) for label, p in pairs if np.isfinite(p) and label in wanted}


def _video(tagger: Tagger) -> Iterator[Check]:
    """A video of a ticking clock: written, decoded, heard and seen."""
    from av_tagger.errors import AvTaggerError
    from av_tagger.media.write import write_video
    from av_tagger.synth.clock import clock_demo

    scene, frames, fps = clock_demo(106)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clock.mp4"
        try:
            write_video(path, frames, fps, scene.samples, scene.rate)
            tagged = tagger.tag(path)
        except AvTaggerError as error:
            yield Check("decoder", str(error), False)
            return
    length = tagged.duration_seconds
    yield Check("decoder", f"a video of 10 s has {length:.1f} s", abs(length - 10) < 0.5)
    if tagger.parts.eye is not None:
        seen = {k: s.seen for k, s in tagged.scores.items() if s.seen is not None}
        best = max(seen, key=lambda k: seen[k] or 0.0, default="nothing")
        found = f"a drawn clock is seen as {best}" + (f" ({seen[best]:.2f})" if seen else "")
        yield Check("eye: picture", found, best == CLOCK)
