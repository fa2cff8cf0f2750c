"""Clips with none of the user's classes: files that the user names, and sounds made here."""

from __future__ import annotations

import re
import wave
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from av_tagger.clip import Clip
from av_tagger.labels import audioset
from av_tagger.learning.data.examples import Example
from av_tagger.media.find import find_media
from av_tagger.ontology import above, below
from av_tagger.reports.files import whole
from av_tagger.synth.beds import BEDS
from av_tagger.synth.distractors import DISTRACTORS
from av_tagger.synth.dsp import RandomDraw, SampleSpan, Sound, Source, unit
from av_tagger.synth.rooms import heard
from av_tagger.synth.scene import SceneSettings, record
from av_tagger.synth.sources import SOURCES

VERSION = 1  # of the sounds, whose files are kept in the cache
SECONDS, RATE = 4.0, 32_000
HELD_EVERY = 3  # every third background clip is for validation

# Animal cries are left out: of any animal they would be taken for the user's own.
NO_BACKGROUND = frozenset({"animal", "beast", "roar"})
# The AudioSet class that a made sound is, where its name is another.
ALIKE: Mapping[str, str] = {
    "rumble": "Rumble",
    "city": "Traffic noise, roadway noise",
    "birds": "Bird",
    "birdsong": "Bird",
    "footsteps": "Walk, footsteps",
    "room": "Inside, small room",
    "babble": "Chatter",
    "human whistle": "Whistling",
    "phone": "Telephone",
    "church bells": "Bell",
    "mower": "Lawn mower",
    "fan": "Mechanical fan",
    "bangs": "Explosion",
    "ship": "Foghorn",
    "baby": "Baby cry, infant cry",
    "solo": "Singing",
    "applause": "Applause",
    "shower": "Water tap, faucet",
    "dog": "Dog",
}


def named_background(folders: Sequence[Path]) -> tuple[Example, ...]:
    """Every media file in these folders, however deep, as a clip without any class."""
    return tuple(Example(Clip(path), ()) for path in find_media(folders)) if folders else ()


def made_background(count: int, labels: Sequence[str], folder: Path) -> tuple[Example, ...]:
    """Sounds made by this package, none of which is or could be one of the labels.

    Each of the sources takes its turn; the files are made once and kept in `folder`.
    """
    names = [name for name in sources() if not any(is_like(name, label) for label in labels)]
    paths = [_made(folder, names[i % len(names)], i // len(names)) for i in range(count)]
    return tuple(Example(Clip(path), ()) for path in paths)


def sources() -> dict[str, Source]:
    """The sounds to choose from, by name."""
    every = {**BEDS, **DISTRACTORS, **SOURCES}
    return {name: source for name, source in every.items() if name not in NO_BACKGROUND}


def is_like(name: str, label: str) -> bool:
    """Whether a made sound could be taken for a class: by AudioSet's hierarchy, or by a word."""
    known = {c.label.casefold(): c.label for c in audioset()}
    sound = known.get(ALIKE.get(name, name).casefold(), name)
    own = known.get(label.casefold(), label)
    related = sound == own or own in below(sound) or own in above(sound)
    return related or bool(_words(f"{name} {sound}") & _words(label))


def _words(text: str) -> set[str]:
    return {word.rstrip("s") for word in re.findall(r"[a-z]{3,}", text.casefold())}


def _made(folder: Path, name: str, seed: int) -> Path:
    slug = re.sub(r"\W+", "_", name)
    path = folder / f"{slug}-{seed}-v{VERSION}.wav"
    if not path.is_file():
        _write(path, _sound(name, seed))
    return path


def _sound(name: str, seed: int) -> Sound:
    """One source in a random place, at a random level, through a random recorder."""
    d = RandomDraw(np.random.default_rng((VERSION, seed, *name.encode())))
    span = SampleSpan(RATE, SECONDS)
    x = heard(d, np.asarray(sources()[name](d, span)[: span.n], np.float32), span)[: span.n]
    x = np.pad(x, (0, span.n - len(x)))
    return record(d, unit(x), span, SceneSettings())


def _write(path: Path, samples: Sound) -> None:
    with whole(path) as part, wave.open(str(part), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes())
