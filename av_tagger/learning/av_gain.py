"""What looking adds to hearing, measured: sounds nobody trained on, with moving photographs, tagged by ear alone and by ear and eye.

    python -m av_tagger.learning.av_gain SOUNDS PICTURES --ear starter --recogniser RECOGNISER --words GLOVE -o FOLDER

SOUNDS is a manifest (columns file, labels, ambiguous, recording), PICTURES a folder of photographs named SYNSET_object.jpg, RECOGNISER the
weights of timm's mobilenetv2_100, GLOVE a file of word vectors. Half of the clips sound from held-out seeds of the synthesiser, half are
recordings. Weights and thresholds are fitted on one half of the clips and measured on the other, both ways; the halves share no recording.
"""

from __future__ import annotations

import argparse
import csv
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from av_tagger.clip import Frames, Waveform
from av_tagger.fusion.counts import Counts
from av_tagger.fusion.fit import FitSettings, FusionFitter
from av_tagger.labels import dcase2017
from av_tagger.protocols import AudioBranch, VideoBranch
from av_tagger.synth import SceneSettings, empty_scene, scene
from av_tagger.synth.kit import Draw

LABELS = dcase2017().labels
FIRST_SEED = 700_000_000  # far from every seed that was trained on
SECONDS, FRAMES = 10.0, 16
SYSTEMS = {"ear alone": "ear", "eye alone": "eye", "paper's rule": "paper-rule", "fitted weights": "joint"}

# Which photographs show what makes a sound, by words of their names.
SHOWS: dict[str, tuple[str, ...]] = {
    "Train horn": ("train", "locomotive"),
    "Train": ("train", "locomotive", "freight_car", "passenger_car"),
    "Air horn, truck horn": ("truck", "tow_truck", "moving_van", "pickup"),
    "Truck": ("truck", "tow_truck", "moving_van", "pickup"),
    "Reversing beeps": ("garbage_truck", "trailer_truck", "moving_van", "forklift"),
    "Car alarm": ("cab", "convertible", "limousine", "minivan", "beach_wagon", "sports_car"),
    "Car": ("cab", "convertible", "limousine", "minivan", "beach_wagon", "sports_car", "jeep", "racer", "Model_T"),
    "Car passing by": ("cab", "convertible", "limousine", "minivan", "beach_wagon", "sports_car", "jeep", "racer"),
    "Bicycle": ("bicycle", "mountain_bike", "tricycle", "unicycle"),
    "Motorcycle": ("moped", "motor_scooter"),
    "Bus": ("minibus", "school_bus", "trolleybus"),
    "Ambulance (siren)": ("ambulance",),
    "Fire engine, fire truck (siren)": ("fire_engine",),
    "Police car (siren)": ("police_van",),
}


@dataclass(frozen=True)
class Example:
    waveform: Waveform
    frames: Frames
    labels: tuple[str, ...]
    half: int
    real: bool


@dataclass(frozen=True)
class Judged:
    """What both witnesses said of every example, and what is true."""

    heard: NDArray[np.float64]
    seen: NDArray[np.float64]
    truth: NDArray[np.bool_]
    half: NDArray[np.int64]


class Album:
    """Photographs to pan over; each belongs to one half where its class has two of them."""

    def __init__(self, folder: Path) -> None:
        self.paths = sorted(folder.glob("*.jpg"))
        words = {w for ws in SHOWS.values() for w in ws}
        self.others = [p for p in self.paths if not any(w in p.stem for w in words)]

    def pick(self, d: Draw, labels: tuple[str, ...], half: int) -> Path:
        """Mostly of something that sounds; one clip in five shows something else, as videos do."""
        fitting = [p for p in self.paths if any(w in p.stem for label in labels for w in SHOWS.get(label, ()))]
        if not fitting or d.chance(0.2):
            return d.pick(*self.others)
        own = [p for i, p in enumerate(fitting) if i % 2 == half]
        return d.pick(*(own or fitting))


def pan(d: Draw, path: Path, size: int = 256) -> Frames:
    """A crop that drifts and zooms over one photograph."""
    from PIL import Image

    with Image.open(path) as opened:
        image = opened.convert("RGB")
    side = min(image.size)
    scales, xs, ys = (np.linspace(d.between(lo, 1), d.between(lo, 1), FRAMES) for lo in (0.65, 0.0, 0.0))
    pictures = []
    for scale, x, y in zip(scales, xs, ys, strict=True):
        edge = side * scale
        left, top = x * (image.width - edge), y * (image.height - edge)
        pictures.append(np.asarray(image.resize((size, size), box=(left, top, left + edge, top + edge))))
    return Frames(np.stack(pictures), np.arange(FRAMES) * (SECONDS / FRAMES))


def synthetic(album: Album, rate: int, count: int) -> list[Example]:
    """Scenes of every class in turn, one in six without any."""
    out = []
    for i in range(count):
        d = Draw(np.random.default_rng(FIRST_SEED + i))
        chosen = (LABELS[i % len(LABELS)],)
        settings = SceneSettings(counts=(1,), snr_db=(-3, 20))
        s = empty_scene(FIRST_SEED + i, SECONDS, rate) if i % 6 == 5 else scene(FIRST_SEED + i, SECONDS, rate, chosen, settings)
        half = int(d.chance(0.5))
        out.append(Example(s.waveform, pan(d, album.pick(d, s.labels, half)), s.labels, half, real=False))
    return out


def recorded(manifest: Path, album: Album, rate: int, most: int) -> list[Example]:
    """Recordings with sure labels, at most `most` of a class, and as many as of the commonest class without any."""
    import soundfile
    from scipy.signal import resample_poly

    with manifest.open(newline="", encoding="utf-8") as f:
        rows = [r for r in csv.DictReader(f) if not r["ambiguous"]]
    rows.sort(key=lambda r: zlib.crc32(r["file"].encode()))
    seen: Counter[str] = Counter()
    out = []
    for r in rows:
        labels = tuple(x for x in r["labels"].split("|") if x)
        key = labels[0] if labels else ""
        seen[key] += 1
        if seen[key] > (most if key else 3 * most):
            continue
        x, original = soundfile.read(manifest.parent / r["file"], dtype="float32")
        common = int(np.gcd(original, rate))
        samples = resample_poly(x[: int(SECONDS * original)], rate // common, original // common).astype(np.float32)
        d, half = Draw(np.random.default_rng(zlib.crc32(r["file"].encode()))), zlib.crc32(r["recording"].encode()) % 2
        out.append(Example(Waveform(samples, rate), pan(d, album.pick(d, labels, half)), labels, half, real=True))
    return out


def judge(examples: list[Example], ear: AudioBranch, eye: VideoBranch, batch: int = 8) -> Judged:
    heard, seen = [], []
    for at in range(0, len(examples), batch):
        part = examples[at : at + batch]
        heard += [s.probabilities for s in ear.hear([e.waveform for e in part])]
        seen += [s.probabilities for s in eye.see([e.frames for e in part])]
    truth = np.array([[label in e.labels for label in LABELS] for e in examples])
    return Judged(np.stack(heard), np.stack(seen), truth, np.array([e.half for e in examples]))


def decisions(judged: Judged, method: str) -> NDArray[np.bool_]:
    """Each half decided by what was fitted on the other."""
    said = np.zeros_like(judged.truth)
    for half in (0, 1):
        learn, measure = judged.half != half, judged.half == half
        fitter = FusionFitter(FitSettings(method=method, few=2)).fit(judged.heard[learn], judged.seen[learn], judged.truth[learn], LABELS)
        said[measure] = fitter.predict(judged.heard[measure], judged.seen[measure])
    return said


def table(counts: dict[str, Counts]) -> str:
    lines = [f"{'class':34s} {'clips':>5s} " + " ".join(f"{name:>16s}" for name in counts)]
    first = next(iter(counts.values()))
    for k, label in enumerate(LABELS):
        lines.append(f"{label:34s} {first.positives[k]:5d} " + " ".join(f"{100 * c.class_f1[k]:16.1f}" for c in counts.values()))
    lines.append(f"{'micro-F1':34s} {'':5s} " + " ".join(f"{100 * c.f1:16.1f}" for c in counts.values()))
    pairs = (f"{100 * c.precision:8.1f}{100 * c.recall:8.1f}" for c in counts.values())
    lines.append(f"{'precision, recall':34s} {'':5s} " + " ".join(pairs))
    return "\n".join(lines)


def picture(counts: dict[str, Counts], folder: Path) -> Path:
    """The paper's figure 3: F1 of each class, ear alone beside ear and eye."""
    from av_tagger.reports.plots import class_f1

    shown = {name: counts[name].class_f1 for name in ("ear alone", "fitted weights")}
    figure = class_f1(shown, LABELS, {name: counts[name].f1 for name in shown})
    path = folder / "av_gain.png"
    figure.savefig(path, dpi=120)
    return path


def load_witnesses(arguments: argparse.Namespace) -> tuple[AudioBranch, VideoBranch]:
    from av_tagger.audio.branch import load_ear
    from av_tagger.video.branch import EyeSettings
    from av_tagger.video.load import load_eye

    settings = EyeSettings(
        network="thumbnail",
        recogniser="mobilenetv2_100",
        recogniser_weights=arguments.recogniser,
        words=arguments.words,
        pictures=False,
    )
    return load_ear(arguments.ear, device="cpu"), load_eye(settings, dcase2017())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sounds", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--ear", default="starter")
    parser.add_argument("--recogniser", type=Path, required=True)
    parser.add_argument("--words", type=Path, required=True)
    parser.add_argument("--count", type=int, default=200, help="synthetic clips")
    parser.add_argument("--most", type=int, default=14, help="recordings of a class")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    ear, eye = load_witnesses(arguments)
    album = Album(arguments.pictures)
    examples = synthetic(album, ear.rate, arguments.count) + recorded(arguments.sounds, album, ear.rate, arguments.most)
    judged = judge(examples, ear, eye)
    counts = {name: Counts.of(decisions(judged, method), judged.truth) for name, method in SYSTEMS.items()}
    text = f"{len(examples)} clips, {sum(e.real for e in examples)} of them recordings; ear: {ear.witness.model}\n\n{table(counts)}\n"
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "av_gain.txt").write_text(text, encoding="utf-8")
    print(text + f"\n{picture(counts, arguments.output)}")


if __name__ == "__main__":
    main()
