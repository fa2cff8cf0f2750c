"""The clips of the gain experiment: sounds with known labels, films that show their source in a stated share, and who may meet whom."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from av_tagger.clip import Clip, Frames, Images, Waveform
from av_tagger.errors import TableError, UsageError
from av_tagger.fusion.cross import split
from av_tagger.labels import dcase2017
from av_tagger.media import open_media
from av_tagger.protocols import DecodeRequest
from av_tagger.studies.starter_data import RATE, targets_of
from av_tagger.synth import SceneSettings, empty_scene, scene

LABELS = dcase2017().labels
# Training draws the seeds of its scenes from below 2**62 (starter_data): from here on no scene can have been trained on.
HELD_OUT_SEED = 2**62
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
# Which pictures show what makes the sound, judged from their names alone. Classes that stand nowhere here have no such picture.
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
    """How many clips there are, what is in them, and how often their pictures show what is heard."""

    clips: int = 400
    with_class: float = 0.8  # share of clips that have one of the classes, each class as many
    shown: float = (
        0.7  # share of the clips whose class can be seen that do show it, in one of their two shots
    )
    frames: int = 12  # of a film: half of them are its first shot
    frame_rate: float = 2.0
    scene_seconds: float = 5.0
    longest_seconds: float = 10.0  # of a recording
    deals: int = 3  # times that recordings and pictures are dealt out to the two halves anew
    seed: int = 0

    def __post_init__(self) -> None:
        if self.per_class < 2:
            raise UsageError(
                f"{self.clips} clips are too few for two halves with {len(LABELS)} classes; ask for 43 or more"
            )
        if self.deals < 1 or self.frames < 2:
            raise UsageError(
                f"there is at least one deal, and a film has two frames or more; got {self.deals} and {self.frames}"
            )

    @property
    def per_class(self) -> int:
        return int(self.clips * self.with_class / len(LABELS))


@dataclass(frozen=True)
class SoundSource:
    """A recording (with a file) or a scene of the synthesiser (with a seed)."""

    name: str
    labels: tuple[str, ...]
    recording: str  # sounds of one recording stay together
    file: Path | None = None
    seed: int = 0


@dataclass(frozen=True)
class TwoShotFilm:
    """Two shots, each a window that moves over one picture."""

    pictures: tuple[str, str]
    shows: bool  # one of the two shows the source
    seed: tuple[int, ...]


@dataclass(frozen=True)
class Deal:
    """Which half each clip is in, and what is seen in it."""

    halves: NDArray[np.int64]
    films: tuple[TwoShotFilm, ...]


def collect(manifest: Path, settings: GainSettings) -> list[SoundSource]:
    """Each class as often: recordings while there are any, held-out scenes to fill up; then clips without any class, in the same way."""
    order = np.random.default_rng([settings.seed, 0])
    real = read_manifest(manifest)
    real = [real[i] for i in order.permutation(len(real))]
    chosen: list[SoundSource] = []
    for label in LABELS:
        mine = [s for s in real if label in s.labels and s not in chosen][: settings.per_class]
        chosen += mine + _scenes(label, settings.per_class - len(mine), settings)
    rest = settings.clips - len(chosen)
    none = [s for s in real if not s.labels][:rest]
    return chosen + none + _scenes(None, rest - len(none), settings)


def read_manifest(manifest: Path) -> list[SoundSource]:
    """The clips of a sound manifest whose labels leave nothing open, by name."""
    sounds = []
    with manifest.open(newline="", encoding="utf-8") as file:
        for line, row in enumerate(csv.DictReader(file), 2):
            labels = tuple(x for x in row["labels"].split("|") if x)
            if unknown := set(labels) - set(LABELS):
                raise TableError(
                    manifest,
                    line,
                    f"names the class {min(unknown)!r}, which is not among the {len(LABELS)}",
                )
            if not row["ambiguous"]:
                sounds.append(
                    SoundSource(
                        row["file"], labels, row["recording"], manifest.parent / row["file"]
                    )
                )
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
    """At the ear's rate; scenes are made at one rate, so that every ear hears the same ones."""
    if sound.file is None:
        length = (settings.scene_seconds, RATE)
        made = (
            scene(sound.seed, *length, sound.labels, ONE_EVENT)
            if sound.labels
            else empty_scene(sound.seed, *length)
        )
        common = int(np.gcd(RATE, rate))
        return Waveform(
            resample_poly(made.samples, rate // common, RATE // common).astype(np.float32), rate
        )
    request = DecodeRequest(
        audio_rate=rate,
        short_side=None,
        window_seconds=2 * settings.longest_seconds,
        overlap_seconds=0.0,
    )
    windows = open_media(Clip(sound.file, 0.0, settings.longest_seconds), request, guarded=False)
    pieces = [w.waveform.samples for w in windows if w.waveform is not None]
    return Waveform(np.concatenate([np.zeros(0, np.float32), *pieces]), rate)


def truths(sounds: Sequence[SoundSource]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(clips, classes) what is there, and what nobody can tell: whether a siren's vehicle is heard, too, or a train behind its horn."""
    targets = np.stack([targets_of(sound.labels) for sound in sounds])
    return targets == 1, np.isnan(targets)


def pictures_in(folder: Path) -> dict[str, Path]:
    """The pictures by the name of what is in them (`n02701002_ambulance.jpg`)."""
    found = {path.stem.split("_", 1)[1]: path for path in sorted(folder.glob("n*_*.jpg"))}
    missing = {name for names in SHOWS.values() for name in names} - set(found)
    if missing:
        raise UsageError(
            f"{folder}: has no picture of {min(missing)!r}; give the folder with one picture an ImageNet class"
        )
    return found


def deal(
    sounds: Sequence[SoundSource], pictures: Sequence[str], number: int, settings: GainSettings
) -> Deal:
    """Recordings and pictures into two halves, and two pictures of its half to every clip."""
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
    """In which half a picture may be seen: the pictures of a class are parted, a class's only picture is in both."""
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
    """In every half and class the stated share, to the clip."""
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
    """One shot after the other."""
    random = np.random.default_rng(film.seed)
    lengths = (settings.frames // 2, settings.frames - settings.frames // 2)
    shots = [
        shot(pictures[name], n, short_side, random)
        for name, n in zip(film.pictures, lengths, strict=True)
    ]
    return Frames(np.concatenate(shots), np.arange(settings.frames) / settings.frame_rate)


def shot(path: Path, count: int, short_side: int, random: np.random.Generator) -> Images:
    """A 4:3 window of 65 to 95 % of the picture that moves and zooms, mirrored as often as not."""
    from PIL import Image, ImageOps

    with Image.open(path) as file:
        image = file.convert("RGB")
    if random.random() < 0.5:
        image = ImageOps.mirror(image)
    heights = _way(0.65, 0.95, count, random) * min(image.height, image.width * 3 / 4)
    tops = _way(0.0, 1.0, count, random) * (image.height - heights)
    lefts = _way(0.0, 1.0, count, random) * (image.width - heights * 4 / 3)
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


def _way(low: float, high: float, count: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Evenly from one place between the two to another."""
    start, end = random.uniform(low, high, 2)
    return np.linspace(float(start), float(end), count)
