"""Clips of the fusion-gain study: labelled sounds, films that show their source, two halves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from av_tagger.clip import Frames, Images, Waveform
from av_tagger.errors import UsageError
from av_tagger.fusion.cross import split
from av_tagger.studies.sound_manifest import LABELS, read_sounds, read_waveform, targets_of_labels
from av_tagger.studies.starter_examples import RATE
from av_tagger.synth import SceneSettings, empty_scene, scene

HELD_OUT_SEED = 2**62  # training uses seeds below this (starter_examples)
ONE_EVENT = SceneSettings(counts=(1,))

_CARS = (
    "beach_wagon",
    "cab",
    "convertible",
    "jeep",
    "limousine",
    "minivan",
    "Model_T",
    "racer",
    "sports_car",
)
_TRUCKS = ("garbage_truck", "moving_van", "pickup", "tow_truck", "trailer_truck")
_TRAINS = (
    "bullet_train",
    "electric_locomotive",
    "freight_car",
    "passenger_car",
    "steam_locomotive",
)
# Pictures that show the source of a class, by their names; other classes have no picture.
SHOWS: Mapping[str, tuple[str, ...]] = {
    "Train horn": _TRAINS,
    "Air horn, truck horn": _TRUCKS,
    "Bicycle": ("bicycle-built-for-two", "mountain_bike", "tricycle"),
    "Ambulance (siren)": ("ambulance",),
    "Fire engine, fire truck (siren)": ("fire_engine",),
    "Police car (siren)": ("police_van",),
    "Car": _CARS,
    "Car passing by": _CARS,
    "Bus": ("minibus", "school_bus", "trolleybus"),
    "Truck": _TRUCKS,
    "Motorcycle": ("moped", "motor_scooter"),
    "Train": _TRAINS,
}


@dataclass(frozen=True)
class GainSettings:
    """Number and content of the clips, and how often the picture shows the sound source."""

    clips: int = 400
    with_class: float = 0.8  # share of clips with a class; all classes have the same number
    shown: float = 0.7  # share of clips that show their source, among classes with pictures
    frames: int = 12  # per film: two shots of six
    frame_rate: float = 2.0
    scene_seconds: float = 5.0
    longest_seconds: float = 10.0  # of a recording
    deals: int = 3  # random splits of recordings and pictures into two halves
    seed: int = 0

    def __post_init__(self) -> None:
        if self.per_class < 2:
            raise UsageError(
                f"{self.clips} clips are too few for two halves with {len(LABELS)} classes;"
                " use 43 or more"
            )
        if self.deals < 1 or self.frames < 2:
            raise UsageError(
                f"deals is at least 1 and frames at least 2; got {self.deals} and {self.frames}"
            )

    @property
    def per_class(self) -> int:
        return int(self.clips * self.with_class / len(LABELS))


@dataclass(frozen=True)
class SoundSource:
    """A recording (with a file) or a synthetic scene (with a seed)."""

    name: str
    labels: tuple[str, ...]
    recording: str  # sounds of one recording stay in one half
    file: Path | None = None
    seed: int = 0


@dataclass(frozen=True)
class TwoShotFilm:
    """Two shots, each a window moving over one picture."""

    pictures: tuple[str, str]
    shows: bool  # one of the two shows the source
    seed: tuple[int, ...]


@dataclass(frozen=True)
class Deal:
    """A random split: the half and the film of each clip."""

    halves: NDArray[np.int64]
    films: tuple[TwoShotFilm, ...]


def collect(manifest: Path, settings: GainSettings) -> list[SoundSource]:
    """The same number of clips for each class, then clips without any class.

    Recordings come first; held-out synthetic scenes fill up.
    """
    order = np.random.default_rng([settings.seed, 0])
    real = recordings(manifest)
    real = [real[i] for i in order.permutation(len(real))]
    chosen: list[SoundSource] = []
    for label in LABELS:
        mine = [s for s in real if label in s.labels and s not in chosen][: settings.per_class]
        chosen += mine + _scenes(label, settings.per_class - len(mine), settings)
    rest = settings.clips - len(chosen)
    none = [s for s in real if not s.labels][:rest]
    return chosen + none + _scenes(None, rest - len(none), settings)


def recordings(manifest: Path) -> list[SoundSource]:
    """The clips of a sound manifest without ambiguous labels, sorted by name."""
    rows = [row for row in read_sounds(manifest) if not row.ambiguous]
    sounds = [SoundSource(row.name, row.labels, row.recording, row.path) for row in rows]
    return sorted(sounds, key=lambda s: s.name)


def _scenes(label: str | None, count: int, settings: GainSettings) -> list[SoundSource]:
    kind = LABELS.index(label) if label is not None else len(LABELS)
    first = HELD_OUT_SEED + 1_000_000 * settings.seed + 10_000 * kind
    labels = (label,) if label is not None else ()
    return [
        SoundSource(f"scene {first + i}", labels, f"scene {first + i}", seed=first + i)
        for i in range(count)
    ]


def waveform(sound: SoundSource, rate: int, settings: GainSettings) -> Waveform:
    """At the ear's rate; scenes are made at one rate, so that all ears hear the same scenes."""
    if sound.file is not None:
        return Waveform(read_waveform(sound.file, rate, settings.longest_seconds), rate)
    length = (settings.scene_seconds, RATE)
    if sound.labels:
        made = scene(sound.seed, *length, sound.labels, ONE_EVENT)
    else:
        made = empty_scene(sound.seed, *length)
    common = int(np.gcd(RATE, rate))
    samples = resample_poly(made.samples, rate // common, RATE // common).astype(np.float32)
    return Waveform(samples, rate)


def truths(sounds: Sequence[SoundSource]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(clips, classes): present, and unknown (such as the vehicle of a siren)."""
    targets = np.stack([targets_of_labels(sound.labels) for sound in sounds])
    return targets == 1, np.isnan(targets)


def pictures_in(folder: Path) -> dict[str, Path]:
    """The pictures by the name of their object (`n02701002_ambulance.jpg`)."""
    found = {path.stem.split("_", 1)[1]: path for path in sorted(folder.glob("n*_*.jpg"))}
    missing = {name for names in SHOWS.values() for name in names} - set(found)
    if missing:
        raise UsageError(
            f"{folder}: has no picture of {min(missing)!r};"
            " give a folder with one picture per ImageNet class"
        )
    return found


def deal(
    sounds: Sequence[SoundSource], pictures: Sequence[str], number: int, settings: GainSettings
) -> Deal:
    """Split recordings and pictures into halves; each clip gets two pictures of its half."""
    truth, _ = truths(sounds)
    halves = split(truth, [s.recording for s in sounds], 2, settings.seed + 1000 * number)
    random = np.random.default_rng([settings.seed, 1, number])
    places = place(pictures, random)
    shown = _which_show(sounds, halves, settings.shown, random)
    films = []
    for i, sound in enumerate(sounds):
        here = [name for name in pictures if int(halves[i]) in places[name]]
        fitting = {name for label in sound.labels for name in SHOWS.get(label, ())}
        others = [name for name in here if name not in fitting]
        first = [name for name in here if name in fitting] if i in shown else others
        pair = (str(random.choice(first)), str(random.choice(others)))
        films.append(
            TwoShotFilm(
                pair if random.random() < 0.5 else pair[::-1],
                i in shown,
                (settings.seed, 2, number, i),
            )
        )
    return Deal(halves, tuple(films))


def place(pictures: Sequence[str], random: np.random.Generator) -> dict[str, frozenset[int]]:
    """The halves of each picture: those of a class are split, a single one is in both."""
    groups = [
        *dict.fromkeys(SHOWS.values()),
        tuple(name for name in pictures if not any(name in names for names in SHOWS.values())),
    ]
    places: dict[str, frozenset[int]] = {}
    for group in groups:
        start = int(random.integers(2))
        for k, i in enumerate(random.permutation(len(group))):
            places[group[i]] = frozenset({(start + k) % 2} if len(group) > 1 else {0, 1})
    return places


def _which_show(
    sounds: Sequence[SoundSource],
    halves: NDArray[np.int64],
    share: float,
    random: np.random.Generator,
) -> set[int]:
    """The clips that show their source: the given share in each half and class."""
    chosen: set[int] = set()
    for half in (0, 1):
        for label in SHOWS:
            mine = [i for i, s in enumerate(sounds) if halves[i] == half and _seen_as(s) == label]
            chosen |= {int(i) for i in random.permutation(mine)[: round(share * len(mine))]}
    return chosen


def _seen_as(sound: SoundSource) -> str | None:
    return next((label for label in sound.labels if label in SHOWS), None)


def frames_of(
    film: TwoShotFilm, pictures: Mapping[str, Path], short_side: int, settings: GainSettings
) -> Frames:
    """The frames of both shots."""
    random = np.random.default_rng(film.seed)
    lengths = (settings.frames // 2, settings.frames - settings.frames // 2)
    shots = [
        shot(pictures[name], n, short_side, random)
        for name, n in zip(film.pictures, lengths, strict=True)
    ]
    return Frames(np.concatenate(shots), np.arange(settings.frames) / settings.frame_rate)


def shot(path: Path, count: int, short_side: int, random: np.random.Generator) -> Images:
    """A 4:3 window of 65 to 95 % of the picture that moves and zooms; mirrored at random."""
    from PIL import Image, ImageOps

    with Image.open(path) as file:
        image = file.convert("RGB")
    if random.random() < 0.5:
        image = ImageOps.mirror(image)
    heights = _path(0.65, 0.95, count, random) * min(image.height, image.width * 3 / 4)
    tops = _path(0.0, 1.0, count, random) * (image.height - heights)
    lefts = _path(0.0, 1.0, count, random) * (image.width - heights * 4 / 3)
    size = (round(short_side * 4 / 3), short_side)
    boxes = (
        (float(x), float(y), float(x + h * 4 / 3), float(y + h))
        for x, y, h in zip(lefts, tops, heights, strict=True)
    )
    return np.stack(
        [
            np.asarray(image.resize(size, Image.Resampling.BILINEAR, box=box), dtype=np.uint8)
            for box in boxes
        ]
    )


def _path(low: float, high: float, count: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Evenly spaced values between two random ends."""
    start, end = random.uniform(low, high, 2)
    return np.linspace(float(start), float(end), count)
