"""Presets: whole systems behind one flag. `paper` is the AV system of the paper, to the letter."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from av_tagger.errors import UsageError, WeightsError

if TYPE_CHECKING:
    from av_tagger.audio.ear_source import EarSource
    from av_tagger.config import Config
    from av_tagger.video.eye_source import EyeSource

TRAIN = "av-tag train crnn-av --data DCASE -o RUN"
PAPER_WORDS = "glove.840B.300d"
RECOGNISER = "inception_v4"
GROUPED, PLAIN = "alexnet_grouped", "alexnet"


def applied(config: Config) -> Config:
    """The settings with those of the preset; a flag that contradicts it is an error."""
    if not config.preset:
        return config
    for name, allowed in (("fusion", ("auto", "paper")), ("fast", (False,)), ("only", (None,))):
        if getattr(config, name) not in allowed:
            raise UsageError(f"--preset paper sets {name} itself; leave out --{name}")
    if config.threshold is not None or config.classes is not None:
        name = "threshold" if config.threshold is not None else "classes"
        raise UsageError(f"--preset paper sets {name} itself; leave out --{name}")
    eye = replace(
        config.eye,
        network=_alexnet(config.eye.network),
        layer="conv5",
        selector="cvxpy",
        keyframes=4,
        keep=10,
        recogniser=RECOGNISER,
        rule="paper",
        assignment="hard",
        floor=None,
        frame_rate=None,
    )
    return replace(config, fusion="paper", eye=eye)


def checked(config: Config, ear: EarSource | None, eye: EyeSource | None) -> None:
    """Every part of the paper's system is on this machine, or one sentence says which is not."""
    if not config.preset:
        return
    _check_ear(ear)
    assert eye is not None
    if eye.features.name not in (GROUPED, PLAIN):
        raise _missing("AlexNet", f"av-tag weights fetch {PLAIN}")
    if eye.recogniser is None:
        raise _missing("Inception-v4", "av-tag weights fetch inception_v4")
    words = eye.words
    if words is None or words.file is None or PAPER_WORDS not in words.file.filename:
        raise _missing("the word vectors glove.840B.300d", f"av-tag weights fetch {PAPER_WORDS}")


def described(config: Config, ear: EarSource | None, eye: EyeSource | None) -> tuple[str, ...]:
    """What a preset stands for, said before tagging."""
    if not config.preset or ear is None or eye is None:
        return ()
    parts = f"ear {ear.info.weights} ({ear.info.model}), eye {eye.info.model}, plain hard rule"
    return (f"preset paper: {parts}, every frame, the weights of the paper",)


def _alexnet(name: str) -> str:
    """The original network of two groups if its weights are here, else the one of torchvision."""
    from av_tagger.video.fetch import find, network_files

    if name in (GROUPED, PLAIN):
        return name
    if name != "auto":
        raise UsageError(f"--preset paper uses the frame features of AlexNet, not of {name!r}")
    return GROUPED if find(*network_files(GROUPED)) is not None else PLAIN


def _check_ear(ear: EarSource | None) -> None:
    """A run of crnn-av, or a network with the same front end, extractor and pooling."""
    from av_tagger.audio.architecture import EarArchitecture
    from av_tagger.settings import to_table

    header = None if ear is None else ear.header
    if ear is None or header is None or ear.kind != "trained":
        raise UsageError(
            "--preset paper needs the ear of the paper, which is not published: train it"
            f" ({TRAIN}) and give its folder with --ear RUN"
        )
    paper, found = EarArchitecture(len(header.labels)), header.architecture
    alike = (found.extractor, found.pooling) == (paper.extractor, paper.pooling)
    units = found.extractor_settings.get("units", 100), found.extractor_settings.get("layers", 1)
    fronts = [None if a.frontend is None else to_table(a.frontend) for a in (found, paper)]
    if not alike or units != (100, 1) or fronts[0] != fronts[1]:
        raise UsageError(
            f"--preset paper: the ear {header.name} is another network than that of the paper;"
            f" train it ({TRAIN}) and give its folder with --ear RUN"
        )


def _missing(what: str, command: str) -> WeightsError:
    return WeightsError(f"--preset paper: {what} is not on this machine; run `{command}`")
