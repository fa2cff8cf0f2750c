"""What the eye adds to the ear, measured: an ear alone against both, weighed as fitted on one half of the clips, on the other half.

    python -m av_tagger.studies.av_gain --shared ../shared -o FOLDER [--ear starter|efficientat:mn04|FILE] [--clips N] [--seed N]

Sounds: recordings of sounds/dev.csv, and scenes of the synthesiser whose seeds no training draws. Pictures: moving windows over the photos
of pictures/, looked at by the whole eye. What the witnesses say is kept in FOLDER, so that a second run takes seconds.
"""

from __future__ import annotations

import argparse
import csv
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

from av_tagger import weights
from av_tagger.audio.branch import EARS, RUN_FILE
from av_tagger.download import sha256_of
from av_tagger.errors import UsageError
from av_tagger.fusion import WeightedFusion, load_fusion
from av_tagger.fusion.counts import Counts
from av_tagger.fusion.fit import DevelopmentScores, FitSettings, FusionFitter
from av_tagger.fusion.joint import weigh
from av_tagger.labels import dcase2017
from av_tagger.protocols import AudioBranch, VideoBranch
from av_tagger.reports import plots
from av_tagger.reports.files import whole, write_text
from av_tagger.settings import fingerprint, to_table
from av_tagger.studies.av_gain_clips import (
    LABELS,
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
from av_tagger.tagger import align

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

WAYS = ("heard", "seen", "paper weights", "paper rule", "fitted")
IN_WORDS = {
    "heard": "ear alone",
    "seen": "eye alone",
    "paper weights": "both, the paper's weights",
    "paper rule": "both, weights by the paper's rule",
    "fitted": "both, fitted weights",
}
FROM_PAPER = {"heard": 0.506, "paper weights": 0.559}  # AV table 1, evaluation data


@dataclass(frozen=True)
class Half:
    """Fitted on one half, counted on the other."""

    counts: Mapping[str, Counts]  # by way
    by_kind: Mapping[str, Mapping[str, Counts]]  # the same on recordings and on scenes alone
    weights: Floats  # the ear's share, fitted
    trusts_eye: Bools  # by the paper's rule: the eye beat the ear on the half that was fitted on


def measure(
    table: DevelopmentScores, halves: NDArray[np.int64], kinds: Mapping[str, Bools]
) -> list[Half]:
    """Both directions."""
    return [_measure_one(table, halves == half, halves != half, kinds) for half in (0, 1)]


def _measure_one(
    table: DevelopmentScores, fit: Bools, held: Bools, kinds: Mapping[str, Bools]
) -> Half:
    mine, other = table.rows(fit), table.rows(held)
    shares = weights_of(mine)
    said = {way: decided(mine, other, share) for way, share in shares.items()}
    counts = {way: Counts.of(told, other.truth) for way, told in said.items()}
    by_kind = {
        kind: {
            way: Counts.of(told[which[held]], other.truth[which[held]])
            for way, told in said.items()
        }
        for kind, which in kinds.items()
    }
    return Half(counts, by_kind, shares["fitted"], shares["paper rule"] < 0.5)


def weights_of(mine: DevelopmentScores) -> dict[str, Floats]:
    """The ear's share in every class, by way."""
    paper = load_fusion("paper", LABELS)
    assert isinstance(paper, WeightedFusion)
    ones = np.ones(len(LABELS))
    return dict(
        zip(
            WAYS,
            (ones, 0 * ones, paper.weights, _fitted(mine, "paper-rule"), _fitted(mine, "joint")),
            strict=True,
        )
    )


def _fitted(mine: DevelopmentScores, method: str) -> Floats:
    fusion = (
        FusionFitter(FitSettings(method)).fit(mine.heard, mine.seen, mine.truth, LABELS).fusion_
    )
    assert isinstance(fusion, WeightedFusion)
    return fusion.weights


def decided(mine: DevelopmentScores, other: DevelopmentScores, share: Floats) -> Bools:
    """Thresholds are fitted in the same way whatever the weights are, so that only the weights make a difference."""
    fused, silent = weigh(mine.heard, mine.seen, share), np.full(mine.heard.shape, np.nan)
    fitter = FusionFitter(FitSettings("ear")).fit(fused, silent, mine.truth, LABELS)
    return fitter.predict(weigh(other.heard, other.seen, share), np.full(other.heard.shape, np.nan))


def pooled(counts: Sequence[Counts]) -> Counts:
    return Counts(
        *(
            np.sum([getattr(c, name) for c in counts], axis=0)
            for name in ("right", "predicted", "positives")
        )
    )


def hear(ear: AudioBranch, sounds: Sequence[SoundSource], settings: GainSettings) -> Floats:
    """(clips, classes); one at a time, so that memory stays small."""
    rows = []
    for sound in sounds:
        (scores,) = ear.hear([waveform(sound, ear.rate, settings)])
        rows.append(align(scores, LABELS).probabilities)
    return np.stack(rows)


def see(
    eye: VideoBranch,
    dealt: Deal,
    pictures: Mapping[str, Path],
    settings: GainSettings,
    say: Callable[[str], None] = print,
) -> Floats:
    """(clips, classes)."""
    rows = []
    for start in range(0, len(dealt.films), 8):
        films = [
            frames_of(film, pictures, eye.short_side, settings)
            for film in dealt.films[start : start + 8]
        ]
        rows += [scores.probabilities for scores in eye.see(films)]
        if start % 80 == 0:
            say(f"  {start} of {len(dealt.films)} films")
    return np.stack(rows)


def kept(path: Path, key: str, make: Callable[[], Floats]) -> Floats:
    """What a witness said before of the same clips, else what it says now."""
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
    """Where everything is."""

    shared: Path
    folder: Path
    ear: str
    settings: GainSettings

    @property
    def data(self) -> Path:
        return self.shared / "data"

    def heard(self, sounds: Sequence[SoundSource]) -> Floats:
        lengths = (self.settings.scene_seconds, self.settings.longest_seconds)
        key = fingerprint([s.name for s in sounds], sha256_of(ear_file(self.ear)), lengths)
        return kept(
            self.folder / f"heard.{short(self.ear)}.npz",
            key,
            lambda: hear(load_the_ear(self.ear), sounds, self.settings),
        )

    def seen(self, dealt: Deal, pictures: Mapping[str, Path], number: int) -> Floats:
        films = [[*film.pictures, *film.seed, self.settings.frames] for film in dealt.films]
        key = fingerprint(films, {n: sha256_of(p) for n, p in pictures.items()}, eye_files())
        return kept(
            self.folder / f"seen.{number}.npz",
            key,
            lambda: see(load_the_eye(), dealt, pictures, self.settings),
        )


def run(experiment: Experiment) -> dict[str, Any]:
    """Every deal in both directions: the figures; the list of clips lies in the folder."""
    settings = experiment.settings
    sounds, pictures = (
        collect(experiment.data / "sounds/dev.csv", settings),
        pictures_in(experiment.data / "pictures"),
    )
    truth, unclear = truths(sounds)
    real = np.array([sound.file is not None for sound in sounds])
    heard = np.where(unclear, np.nan, experiment.heard(sounds))
    results: list[Half] = []
    deals = [deal(sounds, tuple(pictures), number, settings) for number in range(settings.deals)]
    for number, dealt in enumerate(deals):
        seen = np.where(unclear, np.nan, experiment.seen(dealt, pictures, number))
        results += measure(
            DevelopmentScores.of(heard, seen, truth),
            dealt.halves,
            {"recordings": real, "scenes": ~real},
        )
    write_clips(experiment.folder / "clips.csv", sounds, deals)
    return {
        "ear": experiment.ear,
        "settings": to_table(settings),
        "clips": compute(sounds, deals),
    } | summary(results)


def compute(sounds: Sequence[SoundSource], deals: Sequence[Deal]) -> dict[str, int | float]:
    """What the clips are made of."""
    return {
        "recordings_with_a_class": sum(s.file is not None and bool(s.labels) for s in sounds),
        "scenes_with_a_class": sum(s.file is None and bool(s.labels) for s in sounds),
        "without_a_class": sum(not s.labels for s in sounds),
        "of_a_class_with_pictures": sum(any(x in SHOWS for x in s.labels) for s in sounds),
        "show_their_source": sum(film.shows for d in deals for film in d.films) / len(deals),
    }


def summary(results: Sequence[Half]) -> dict[str, Any]:
    """Means and spreads over all fits, and the classes, counted over all of them."""
    f1 = {way: np.array([half.counts[way].f1 for half in results]) for way in WAYS}
    classes = {way: pooled([half.counts[way] for half in results]) for way in WAYS}
    kinds = {
        kind: {way: pooled([half.by_kind[kind][way] for half in results]).f1 for way in WAYS}
        for kind in results[0].by_kind
    }
    return {
        "fits": len(results),
        "micro_f1": {way: _spread(values) for way, values in f1.items()},
        "gain": {way: _spread(f1[way] - f1["heard"]) for way in WAYS[1:]},
        "micro_f1_by_sound": kinds,
        "classes": {
            label: {
                "clips": int(classes["heard"].positives[k])
                // (len(results) // 2),  # a deal measures every clip once
                **{way: float(classes[way].class_f1[k]) for way in WAYS},
                "ear_weight": float(np.mean([half.weights[k] for half in results])),
                "trusts_eye": int(sum(half.trusts_eye[k] for half in results)),
                "can_be_seen": label in SHOWS,
            }
            for k, label in enumerate(LABELS)
        },
    }


def _spread(values: Floats) -> dict[str, float]:
    return {
        "mean": float(values.mean()),
        "std": float(values.std(ddof=1)),
        "least": float(values.min()),
        "most": float(values.max()),
    }


def in_words(figures: Mapping[str, Any], command: str) -> str:
    """The result as Markdown."""
    c, settings = figures["clips"], figures["settings"]
    made = (
        f"{settings['clips']} clips: {c['recordings_with_a_class']} recordings and {c['scenes_with_a_class']} scenes of one of the "
        f"classes, {c['without_a_class']} sounds without any. The pictures of {c['show_their_source']:.0f} clips show the source, "
        f"of {c['of_a_class_with_pictures']} whose class has pictures."
    )
    lines = [
        f"    {command}",
        "",
        made,
        "",
        "| | micro-F1 | gain | on recordings | on scenes |",
        "|---|---|---|---|---|",
    ]
    for way in WAYS:
        f1, kinds = figures["micro_f1"][way], figures["micro_f1_by_sound"]
        gain = (
            ""
            if way == "heard"
            else f"{100 * figures['gain'][way]['mean']:+.1f} ± {100 * figures['gain'][way]['std']:.1f}"
        )
        cells = (
            f"{100 * f1['mean']:.1f} ± {100 * f1['std']:.1f}",
            gain,
            *(f"{100 * kinds[kind][way]:.1f}" for kind in kinds),
        )
        lines.append(f"| {IN_WORDS[way]} | {' | '.join(cells)} |")
    lines += [
        "",
        f"Mean ± standard deviation over {figures['fits']} fits; each on one half of the clips, measured on the other.",
        "",
    ]
    lines += [
        "| class | clips | heard | seen | fused | the ear's weight | the eye trusted |",
        "|---|---|---|---|---|---|---|",
    ]
    for label, row in figures["classes"].items():
        values = " | ".join(f"{100 * row[way]:.0f}" for way in ("heard", "seen", "fitted"))
        name = label if row["can_be_seen"] else f"{label} (no picture)"
        lines.append(
            f"| {name} | {row['clips']} | {values} | {row['ear_weight']:.2f} | {row['trusts_eye']} of {figures['fits']} |"
        )
    return "\n".join(lines) + "\n"


def draw(figures: Mapping[str, Any], path: Path) -> None:
    """AV figure 3: every class heard, seen and fused; (V) where the paper's rule trusts the eye in most fits."""
    rows = figures["classes"]
    names = [
        f"{label} (V)" if row["trusts_eye"] > figures["fits"] / 2 else label
        for label, row in rows.items()
    ]
    columns = {"heard": "heard", "seen": "seen", "fused": "fitted"}
    scores = {shown: [row[way] for row in rows.values()] for shown, way in columns.items()}
    micro = {shown: figures["micro_f1"][way]["mean"] for shown, way in columns.items()}
    plots.save(plots.class_f1(scores, names, micro), path)


def write_clips(path: Path, sounds: Sequence[SoundSource], deals: Sequence[Deal]) -> None:
    """Who stood where, for people who want to check."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(
        ["deal", "half", "sound", "labels", "recording", "first shot", "second shot", "shows"]
    )
    for number, dealt in enumerate(deals):
        for sound, half, film in zip(sounds, dealt.halves, dealt.films, strict=True):
            table.writerow(
                [
                    number,
                    int(half),
                    sound.name,
                    "|".join(sound.labels),
                    sound.recording,
                    *film.pictures,
                    int(film.shows),
                ]
            )
    write_text(path, [text.getvalue()])


def ear_file(name: str) -> Path:
    """The weights behind an ear's name."""
    path = Path(name) / RUN_FILE if Path(name).is_dir() else Path(name)
    found = path if path.is_file() else weights.locate(EARS.get(name, name.replace(":", ".", 1)))
    if found is None:
        raise UsageError(
            f"the weights of the ear {name!r} are not here; name a weights file, or see av-tag weights list"
        )
    return found


def short(ear: str) -> str:
    """An ear's name as part of a file's."""
    return (
        Path(ear).stem if Path(ear).suffix in (".pt", ".safetensors") else Path(ear).name
    ).replace(":", ".")


def load_the_ear(name: str) -> AudioBranch:
    from av_tagger.plan import load

    ear = load(ear=name, only="ear", device="cpu", offline=True).parts.ear
    assert ear is not None
    return ear


def load_the_eye() -> VideoBranch:
    """The whole eye with the weights that lie in the shared folder."""
    from av_tagger.video.branch import EyeSettings
    from av_tagger.video.load import load_eye

    eye = load_eye(EyeSettings(**EYE, pictures=False), dcase2017(), offline=True)
    if eye.advice:
        raise UsageError("; ".join(eye.advice))
    return eye


def eye_files() -> list[str]:
    """What the eye's answers depend on besides the pictures."""
    found = [weights.find(name) for name in EYE_FILES]
    return [*EYE.values(), *(sha256_of(path) if path is not None else "not here" for path in found)]


EYE: dict[str, Any] = {"network": "alexnet_grouped", "recogniser": "mobilenetv2_100"}
EYE_FILES = (
    "bvlc_alexnet_features_q7.safetensors",
    "mobilenetv2_100.safetensors",
    "glove.6B.50d.part.txt",
)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--shared",
        type=Path,
        required=True,
        help="the folder with data/sounds, pictures, weights and words",
    )
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--ear", default="starter")
    for name in ("clips", "deals", "seed"):
        parser.add_argument(f"--{name}", type=int, default=getattr(GainSettings(), name))
    given = parser.parse_args(arguments)
    data = given.shared / "data"
    others = os.environ.get("AV_TAGGER_WEIGHTS", "")
    os.environ["AV_TAGGER_WEIGHTS"] = os.pathsep.join(
        filter(None, (str(data / "weights"), str(data / "words"), others))
    )
    settings = GainSettings(clips=given.clips, deals=given.deals, seed=given.seed)
    figures = run(Experiment(given.shared, given.output, given.ear, settings))
    said = sys.argv[1:] if arguments is None else list(arguments)
    command = f"python -m av_tagger.studies.av_gain {shlex.join(said)}"
    text, stem = in_words(figures, command), f"gain.{short(given.ear)}"
    everything = figures | {"command": command, "paper": FROM_PAPER}
    write_text(
        given.output / f"{stem}.json", [json.dumps(everything, indent=1, ensure_ascii=False), "\n"]
    )
    write_text(given.output / f"{stem}.md", [text])
    draw(figures, given.output / f"{stem}.png")
    print(text)


if __name__ == "__main__":
    main()
