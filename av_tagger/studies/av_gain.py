"""The fusion-gain study: micro-F1 of the ear alone against ear and eye, on held-out halves.

    python -m av_tagger.studies.av_gain SHARED -o FOLDER [--ear starter] [--clips N] [--seed N]

SHARED has data/sounds/dev.csv (recordings), data/pictures, data/weights and data/words. Sounds are
recordings and synthetic scenes whose seeds no training uses. Films are moving windows over the
pictures. Scores of ear and eye are cached in FOLDER, so that a second run takes seconds.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from av_tagger.audio import ears
from av_tagger.download import sha256_of
from av_tagger.errors import UsageError
from av_tagger.fusion.fit import DevelopmentScores
from av_tagger.labels import dcase2017
from av_tagger.protocols import AudioBranch, VideoBranch
from av_tagger.reports.files import whole, write_text
from av_tagger.settings import fingerprint, to_table
from av_tagger.stitching import align
from av_tagger.studies.av_gain_clips import (
    SHOWS,
    Deal,
    GainSettings,
    SoundSource,
    collect,
    deal,
    frames_of,
    pictures_in,
    truths,
    waveform,
)
from av_tagger.studies.av_gain_measure import HeldOutHalf, measure, summary
from av_tagger.studies.av_gain_report import draw, markdown, write_clips
from av_tagger.studies.sound_manifest import LABELS
from av_tagger.video import eyes
from av_tagger.video.branch import EyeSettings

Floats = NDArray[np.float64]

FROM_PAPER = {"heard": 0.506, "paper weights": 0.559}  # AV table 1, evaluation data
EYE = EyeSettings(network="alexnet_grouped", recogniser="mobilenetv2_100", pictures=False)
FILMS = 8  # that the eye sees at a time
FLAGS = ("clips", "deals", "frames", "scene_seconds", "seed")  # settings of the command


def hear(ear: AudioBranch, sounds: Sequence[SoundSource], settings: GainSettings) -> Floats:
    """(clips, classes), one clip at a time to save memory."""
    rows = []
    for sound in sounds:
        (scores,) = ear.hear([waveform(sound, ear.rate, settings)])
        rows.append(align(scores, LABELS).probabilities)
    return np.stack(rows)


def see(
    eye: VideoBranch, dealt: Deal, pictures: Mapping[str, Path], settings: GainSettings
) -> Floats:
    """(clips, classes)."""
    rows: list[Floats] = []
    for start in range(0, len(dealt.films), FILMS):
        chunk = dealt.films[start : start + FILMS]
        films = [frames_of(film, pictures, eye.short_side, settings) for film in chunk]
        rows += [scores.probabilities for scores in eye.see(films)]
    return np.stack(rows)


def cached(path: Path, key: str, make: Callable[[], Floats]) -> Floats:
    """The scores in a file if its key is the same, else new ones."""
    if path.is_file():
        with np.load(path) as stored:
            if str(stored["key"]) == key:
                return np.asarray(stored["scores"], dtype=np.float64)
    scores = make()
    buffer = io.BytesIO()
    np.savez(buffer, key=np.array(key), scores=scores)
    with whole(path) as temporary:
        temporary.write_bytes(buffer.getvalue())
    return scores


@dataclass(frozen=True)
class Experiment:
    """Inputs, output folder and settings."""

    shared: Path
    folder: Path
    ear: str
    settings: GainSettings

    @property
    def data(self) -> Path:
        return self.shared / "data"

    def heard(self, sounds: Sequence[SoundSource]) -> Floats:
        """Scores of the ear."""
        source = ears.resolve(self.ear, offline=True)
        lengths = (self.settings.scene_seconds, self.settings.longest_seconds)
        key = fingerprint([s.name for s in sounds], source.identity, lengths)
        path = self.folder / f"heard.{file_stem(self.ear)}.npz"
        return cached(path, key, lambda: hear(load_the_ear(self.ear), sounds, self.settings))

    def seen(self, dealt: Deal, pictures: Mapping[str, Path], number: int) -> Floats:
        """Scores of the eye in one deal."""
        films = [[*film.pictures, *film.seed, self.settings.frames] for film in dealt.films]
        files = {name: sha256_of(path) for name, path in pictures.items()}
        key = fingerprint(films, files, eyes.resolve(EYE, dcase2017()).identity)
        path = self.folder / f"seen.{number}.npz"
        return cached(path, key, lambda: see(load_the_eye(), dealt, pictures, self.settings))


def run(experiment: Experiment) -> dict[str, Any]:
    """All deals in both directions; writes the list of clips and returns the metrics."""
    settings = experiment.settings
    sounds = collect(experiment.data / "sounds/dev.csv", settings)
    pictures = pictures_in(experiment.data / "pictures")
    truth, unknown = truths(sounds)
    real = np.array([sound.file is not None for sound in sounds])
    heard = np.where(unknown, np.nan, experiment.heard(sounds))
    results: list[HeldOutHalf] = []
    deals = [deal(sounds, tuple(pictures), number, settings) for number in range(settings.deals)]
    for number, dealt in enumerate(deals):
        seen = np.where(unknown, np.nan, experiment.seen(dealt, pictures, number))
        scores = DevelopmentScores.of(heard, seen, truth)
        results += measure(scores, dealt.halves, {"recordings": real, "scenes": ~real})
    write_clips(experiment.folder / "clips.csv", sounds, deals)
    facts = {"ear": experiment.ear, "settings": to_table(settings), "clips": counts(sounds, deals)}
    return facts | summary(results)


def counts(sounds: Sequence[SoundSource], deals: Sequence[Deal]) -> dict[str, int | float]:
    """Numbers of clips of each kind."""
    return {
        "recordings_with_a_class": sum(s.file is not None and bool(s.labels) for s in sounds),
        "scenes_with_a_class": sum(s.file is None and bool(s.labels) for s in sounds),
        "without_a_class": sum(not s.labels for s in sounds),
        "of_a_class_with_pictures": sum(any(x in SHOWS for x in s.labels) for s in sounds),
        "show_their_source": sum(film.shows for d in deals for film in d.films) / len(deals),
    }


def file_stem(ear: str) -> str:
    """The name of an ear as part of a file name."""
    path = Path(ear)
    return (path.stem if path.suffix in (".pt", ".safetensors") else path.name).replace(":", ".")


def load_the_ear(name: str) -> AudioBranch:
    return ears.load_ear(name, "cpu", offline=True)


def load_the_eye() -> VideoBranch:
    """The eye of this study; all of its weights must be on this machine."""
    eye = eyes.load_eye(EYE, dcase2017())
    if eye.advice:
        raise UsageError("; ".join(eye.advice))
    return eye


def main(arguments: Sequence[str] | None = None) -> None:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("shared", type=Path, help="folder with data/sounds, data/pictures ...")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--ear", default="starter")
    for name in FLAGS:
        default = getattr(GainSettings(), name)
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, type=type(default), default=default)
    given = parser.parse_args(arguments)
    data, others = given.shared / "data", os.environ.get("AV_TAGGER_WEIGHTS", "")
    folders = (str(data / "weights"), str(data / "words"), others)
    os.environ["AV_TAGGER_WEIGHTS"] = os.pathsep.join(filter(None, folders))
    settings = GainSettings(**{name: getattr(given, name) for name in FLAGS})
    results = run(Experiment(given.shared, given.output, given.ear, settings))
    words = sys.argv[1:] if arguments is None else list(arguments)
    write_results(results, f"python -m av_tagger.studies.av_gain {shlex.join(words)}", given.output)


def write_results(results: dict[str, Any], command: str, folder: Path) -> None:
    """JSON, Markdown and a figure; the Markdown is printed as well."""
    text, stem = markdown(results, command), f"gain.{file_stem(results['ear'])}"
    everything = results | {"command": command, "paper": FROM_PAPER}
    as_json = json.dumps(everything, indent=1, ensure_ascii=False)
    write_text(folder / f"{stem}.json", [as_json, "\n"])
    write_text(folder / f"{stem}.md", [text])
    draw(results, folder / f"{stem}.png")
    print(text)


if __name__ == "__main__":
    main()
