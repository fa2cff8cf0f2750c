"""The arena: figures per contestant, losses per variant, and what is not here is left out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
import pytest

from av_tagger.bench import arena
from av_tagger.bench.arena import Contestant, check_variants, contestants, run_arena
from av_tagger.clip import Clip
from av_tagger.errors import AvTaggerError, UsageError
from av_tagger.scores import BranchInfo, ClassScore, RunInfo, Status, Tag, Tagged
from tests.cli.conftest import AvTag, av_tag  # noqa: F401

LABELS = ("Car", "Siren")
CLIPS = 40


class ToneEar:
    """Hears Car below, Siren above the middle of its score; noise makes it say nothing."""

    parts = SimpleNamespace(ear=object(), eye=None)

    def stream(self, clips: Sequence[Clip]) -> Iterator[Tagged]:
        for clip in clips:
            samples = getattr(clip, "samples", None)
            noisy = samples is not None and np.abs(np.diff(samples)).mean() > 0.05
            yield self.result(clip, 0.1 if noisy else 0.8)

    @staticmethod
    def result(clip: Clip, high: float) -> Tagged:
        label = LABELS[int(clip.path.stem[1:]) % 2]
        values = {name: high if name == label else 0.1 for name in LABELS}
        scores = {k: ClassScore(v, v, None, 0.5) for k, v in values.items()}
        tags = tuple(
            Tag(k, s.fused, 0.5, s.heard, None) for k, s in scores.items() if s.fused > 0.5
        )
        branch = BranchInfo(Status.OK, "tone")
        run = RunInfo("0", "cpu", "", 0.0)
        return Tagged(Clip(clip.path), 10.0, tags, scores, (), branch, branch, run)


class WithEye(ToneEar):
    parts = SimpleNamespace(ear=None, eye=object())


class InThisProcess:
    """Stands in for a pool of one process."""

    def __init__(self, *_: object) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def submit(self, work: Callable[[Any], Any], job: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(work(job))
        return future


@pytest.fixture
def clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Names of clips with truth.csv beside them; only the ear `starter` is here."""

    def plan(contestant: Contestant, classes: str, offline: bool = True) -> Any:
        if contestant.flags.get("ear") != "starter" or "fusion" in contestant.flags:
            raise AvTaggerError("not here")
        return SimpleNamespace(build=ToneEar, ear=SimpleNamespace(is_here=True), eye=None)

    monkeypatch.setattr(arena, "_plan", plan)
    monkeypatch.setattr(arena, "ProcessPoolExecutor", InThisProcess)
    sound = (0.3 * np.sin(np.arange(64_000) / 20)).astype(np.float32)
    monkeypatch.setattr(arena, "sound_of", lambda path: sound)
    paths = [tmp_path / f"c{i}.wav" for i in range(CLIPS)]
    rows = [f"{p.name},{LABELS[i % 2]}" for i, p in enumerate(paths)]
    (tmp_path / "truth.csv").write_text("\n".join(["file,labels", *rows]) + "\n")
    for path in paths:
        path.write_bytes(b"")
    return paths


def test_a_standing_has_figures_and_losses(clips: list[Path], tmp_path: Path) -> None:
    variants = ["noise 0 dB", "volume -20 dB", "overlap"]
    (one,) = run_arena(clips, tmp_path / "truth.csv", variants, (), tmp_path / "out")
    assert one.contestant.name == "ear starter"
    assert one.figures.micro.value == 1.0
    assert one.cost.duration == 10.0 * CLIPS
    assert one.cost.memory > 1e6
    losses = {name: c.f1.value for name, c in one.variants.items()}
    assert losses["noise 0 dB"] == -1.0
    assert losses["volume -20 dB"] == 0.0
    assert losses["overlap"] < -0.2, "only one of two sounds is found"
    json.dumps(one.as_json())


def test_the_table_fits_80_columns(
    clips: list[Path],
    tmp_path: Path,
    av_tag: AvTag,  # noqa: F811
) -> None:
    words = ("arena", *clips, "--truth", tmp_path / "truth.csv", "--variants", "noise 0 dB")
    done = av_tag(*words)
    assert done.code == 0
    assert "ear starter" in done.out
    assert "ear starter, noise 0 dB: F1 -1.000" in done.out
    assert max(map(len, done.lines)) <= 80
    rows = json.loads(av_tag(*words, "--json").out)
    assert rows[0]["variants"]["noise 0 dB"]["micro_f1"]["difference"] == -1.0


def test_an_eye_has_a_standing_without_variants(
    clips: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plan(contestant: Contestant, classes: str, offline: bool = True) -> Any:
        if contestant.flags.get("only") != "eye":
            raise AvTaggerError("not here")
        return SimpleNamespace(build=WithEye, ear=None, eye=object())

    monkeypatch.setattr(arena, "_plan", plan)
    (one,) = run_arena(clips, tmp_path / "truth.csv", ["noise 0 dB"], (), tmp_path / "out")
    assert (one.contestant.name, one.variants) == ("eye", {})


def test_only_what_is_here_takes_part(clips: list[Path]) -> None:
    assert [c.name for c in contestants("Car;Siren")] == ["ear starter"]
    assert contestants("Car;Siren", ["yamnet"]) == []


def test_unknown_variants_and_empty_machines_are_refused(clips: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no variant 'noise 5 dB'; did you mean"):
        check_variants(["noise 5 dB"])
    assert check_variants([]) == ()
    with pytest.raises(UsageError, match="no ear and no eye is on this machine"):
        list(run_arena(clips, tmp_path / "truth.csv", (), ["yamnet"], tmp_path / "out"))
