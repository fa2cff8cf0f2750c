"""What reads a mutant: each function says in a few words what it found, or raises."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from av_tagger.clip import Clip, Media
from av_tagger.protocols import DecodeRequest

Read = Callable[[Path], str]

DECODE_SECONDS = 20.0  # for one window of a file of a few kilobytes
MOST_WINDOWS = 200
LONGEST_NOTE = 300


def decoded(path: Path) -> str:
    """All windows of a media file, decoded in a process of their own, as always."""
    from av_tagger.media import open_media

    request = DecodeRequest(short_side=32)
    before, count = -1.0, 0
    for media in open_media(Clip(path), request, limit_seconds=DECODE_SECONDS):
        _check_media(media, before)
        before, count = media.start_seconds, count + 1
        if count > MOST_WINDOWS:  # a slide show of few pictures may last for hours
            return "many windows"
    return f"{min(count, 3)} windows"


def _check_media(media: Media, before: float) -> None:
    """Whether a window can be heard and seen: finite samples, rising times, few words."""
    assert before < media.start_seconds < media.end_seconds, "windows are not in order"
    if media.waveform is not None:
        assert np.isfinite(media.waveform.samples).all(), "samples are not finite"
        assert len(media.waveform.samples), "a waveform is empty"
    if media.frames is not None:
        assert (np.diff(media.frames.times) > 0).all(), "times of pictures do not rise"
        assert np.isfinite(media.frames.times).all(), "times are not finite"
    for note in (*media.notes, *media.remarks):
        assert note.isprintable(), "a note is not one line"
        assert len(note) <= LONGEST_NOTE, "a note is long"


def settings(path: Path) -> str:
    from av_tagger.config import configure

    config = configure(path)
    config.numbers()
    return "settings"


def plan(path: Path) -> str:
    """The plan that the settings lead to: names of ears, eyes, classes and fusions are read."""
    from av_tagger.config import configure
    from av_tagger.plan import make_plan

    found = make_plan(configure(path, {"offline": True}), download=False)
    return f"{found.fingerprint.isalnum()}, {min(len(found.classes), 3)} classes"


def recipe(path: Path) -> str:
    from av_tagger.learning.recipe import read_recipe

    return f"recipe on {read_recipe(path).data}"


def classes(path: Path) -> str:
    from av_tagger.labels import choose_classes

    return f"{min(len(choose_classes(str(path))), 3)} classes"


def fusion(path: Path) -> str:
    from av_tagger.fusion.file import read_fusion
    from av_tagger.scores import Scores, Status

    found = read_fusion(path)
    silent = Scores.silent(found.labels, Status.OK)
    found.fuse([silent], [silent])
    return type(found).__name__


def ensemble(path: Path) -> str:
    from av_tagger.audio.ensemble_file import read_ensemble

    return read_ensemble(path).mode


def ear(path: Path) -> str:
    """A trained ear from its file, and what it hears in half a second of noise."""
    from av_tagger.audio.ears import load_ear
    from av_tagger.clip import Waveform

    found = load_ear(path, "cpu")
    noise = np.random.default_rng(0).normal(0, 0.1, found.rate // 2).astype(np.float32)
    (scores,) = found.hear([Waveform(noise, found.rate, 0.0)])
    values = scores.probabilities
    assert ((values >= 0) & (values <= 1)).all(), "scores are no probabilities"
    return f"{min(len(values), 3)} scores"


def calibration(path: Path) -> str:
    from av_tagger.audio.calibration_file import load_calibration

    found = load_calibration(path)
    known = np.full((len(found.sources), len(found.labels)), 0.5)
    assert np.isfinite(found.combine(list(known))).all(), "scores are not finite"
    return f"{min(len(found.labels), 3)} classes"


def torch_file(path: Path) -> str:
    from av_tagger.state_file import check_finite, read_state

    state = read_state(path)
    check_finite(path, state)
    return f"{min(len(state), 3)} tensors"


def arrays(path: Path) -> str:
    from av_tagger.audio.known.vggish_files import check_pca

    check_pca(path)
    return "PCA"


def wheel(path: Path) -> str:
    """As if the mutant were the pinned wheel: what else is wrong must be found."""
    from av_tagger.bench.fuzz.made import MEMBERS
    from av_tagger.wheels import Wheel, WheelMember, read_wheel

    data = path.read_bytes()
    members = tuple(
        WheelMember(name, len(content), hashlib.sha256(content).hexdigest())
        for name, content in MEMBERS.items()
    )
    pinned = Wheel("toy", "1", path.name, len(data), hashlib.sha256(data).hexdigest(), members)
    return f"{len(read_wheel(path, pinned))} members"


def results(path: Path) -> str:
    """Results, and the page of each."""
    from av_tagger.reports.html import PageSource, write_pages
    from av_tagger.reports.schema import read_outcomes

    outcomes = list(read_outcomes(path))
    folder = path.with_suffix("")
    write_pages(lambda: [PageSource(outcome, None) for outcome in outcomes[:4]], folder)
    shutil.rmtree(folder, ignore_errors=True)
    return f"{min(len(outcomes), 3)} results"


def journal(path: Path) -> str:
    """The journal of a run, opened as the next start would."""
    from av_tagger.runner.journal import NAME, Journal

    folder = path.with_suffix("")
    folder.mkdir(exist_ok=True)
    try:
        shutil.copy(path, folder / NAME)
        with Journal(folder) as opened:
            broken = opened.broken()
            list(opened.documents())
            opened.failures()
            return f"{broken} broken"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def listed(path: Path) -> str:
    from av_tagger.dcase import read_list

    return f"{min(len(read_list(path)), 3)} clips"


def strong(path: Path) -> str:
    from av_tagger.dcase import read_strong

    return f"{min(len(read_strong(path)), 3)} clips"


def manifest(path: Path) -> str:
    from av_tagger.labels import dcase2017
    from av_tagger.learning.data.manifests import read_examples

    found = read_examples(path, dcase2017(), path.parent)
    return f"{min(len(found.examples), 3)} examples"


def vectors(path: Path) -> str:
    from av_tagger.video.vectors import read_vectors

    return f"{len(read_vectors(path, ('siren', 'train', 'dog')))} words"
