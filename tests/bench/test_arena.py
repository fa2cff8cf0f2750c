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

from av_tagger.bench import arena, arena_run
from av_tagger.bench.arena import ArenaSettings, contestants, run_arena
from av_tagger.bench.arena_run import CHUNK, Contestant
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


def a_plan(build: Any, **parts: Any) -> Any:
    return SimpleNamespace(build=build, fingerprint="1", **parts)


def put_plan(monkeypatch: pytest.MonkeyPatch, plan: Callable[[Contestant, str], Any]) -> None:
    for module in (arena, arena_run):
        monkeypatch.setattr(module, "plan_of", plan)


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

    def plan(contestant: Contestant, classes: str) -> Any:
        if contestant.flags.get("ear") != "starter" or "fusion" in contestant.flags:
            raise AvTaggerError("not here")
        return a_plan(ToneEar, ear=SimpleNamespace(is_here=True), eye=None)

    put_plan(monkeypatch, plan)
    monkeypatch.setattr(arena, "ProcessPoolExecutor", InThisProcess)
    sound = (0.3 * np.sin(np.arange(64_000) / 20)).astype(np.float32)
    monkeypatch.setattr(arena_run, "sound_of", lambda path: sound)
    paths = [tmp_path / f"c{i}.wav" for i in range(CLIPS)]
    rows = [f"{p.name},{LABELS[i % 2]}" for i, p in enumerate(paths)]
    (tmp_path / "truth.csv").write_text("\n".join(["file,labels", *rows]) + "\n")
    for path in paths:
        path.write_bytes(b"")
    return paths


def test_a_standing_has_figures_and_losses(clips: list[Path], tmp_path: Path) -> None:
    settings = ArenaSettings(("noise 0 dB", "volume -20 dB", "overlap"))
    (one,) = run_arena(clips, tmp_path / "truth.csv", settings, tmp_path / "out")
    assert one.contestant.name == "ear starter"
    assert one.figures.micro.value == 1.0
    assert one.cost.duration == 10.0 * CLIPS
    assert one.cost.memory > 10  # MiB
    assert one.clips == CLIPS
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
    assert "noise 0 dB" in done.out
    assert "-1.00*" in done.out
    assert max(map(len, done.lines)) <= 80
    rows = json.loads(av_tag(*words, "--json").out)
    assert rows[0]["variants"]["noise 0 dB"]["micro_f1"]["difference"] == -1.0


def test_an_eye_has_a_standing_without_variants(
    clips: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plan(contestant: Contestant, classes: str) -> Any:
        if contestant.flags.get("only") != "eye":
            raise AvTaggerError("not here")
        return a_plan(WithEye, ear=None, eye=object())

    put_plan(monkeypatch, plan)
    films = [path.with_suffix(".mp4") for path in clips]
    settings = ArenaSettings(("noise 0 dB",))
    (one,) = run_arena(films, tmp_path / "truth.csv", settings, tmp_path / "out")
    assert (one.contestant.name, one.variants) == ("eye", {})


def test_only_what_is_here_takes_part(clips: list[Path]) -> None:
    assert [c.name for c in contestants("Car;Siren")] == ["ear starter"]
    assert contestants("Car;Siren", ["yamnet"]) == []


def test_unknown_variants_and_empty_machines_are_refused(clips: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no variant 'noise 5 dB'; did you mean"):
        ArenaSettings(("noise 5 dB",))
    with pytest.raises(UsageError, match="-1 clips cannot be degraded"):
        ArenaSettings(sample=-1)
    assert ArenaSettings().with_clean == ()
    settings = ArenaSettings(ears=("yamnet",))
    with pytest.raises(UsageError, match="no ear and no eye is on this machine"):
        list(run_arena(clips, tmp_path / "truth.csv", settings, tmp_path / "out"))


def test_a_sample_is_drawn_with_a_fixed_seed(clips: list[Path], tmp_path: Path) -> None:
    settings = ArenaSettings(("noise 0 dB",), sample=12)
    assert settings.drawn(clips) == settings.drawn(clips)
    assert set(settings.drawn(clips)) < set(clips)
    assert ArenaSettings(sample=99).drawn(clips) == tuple(clips)
    (one,) = run_arena(clips, tmp_path / "truth.csv", settings, tmp_path / "out")
    assert one.variants["noise 0 dB"].clips == 12
    assert one.clips == CLIPS


def test_a_killed_run_goes_on_where_it_was(
    clips: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unfinished chunk is tagged again, finished ones are not, and figures are the same."""
    tagged: list[str] = []
    place = tmp_path / "out" / "ear-starter"

    class Dies(ToneEar):
        def stream(self, clips: Sequence[Clip]) -> Iterator[Tagged]:
            for outcome in super().stream(clips):
                tagged.append(outcome.clip.path.name)
                if len(tagged) == CHUNK + 5:
                    raise KeyboardInterrupt
                yield outcome

    def plan(contestant: Contestant, classes: str) -> Any:
        if contestant.flags != {"ear": "starter", "only": "ear"}:
            raise AvTaggerError("not here")
        return a_plan(Dies, ear=SimpleNamespace(is_here=True), eye=None)

    put_plan(monkeypatch, plan)
    with pytest.raises(KeyboardInterrupt):
        list(run_arena(clips, tmp_path / "truth.csv", ArenaSettings(), tmp_path / "out"))
    with (place / "files.jsonl").open("a") as file:  # a part of the chunk was written, too
        file.write('{"schema": 1, "file": "half a li')
    list(run_arena(clips, tmp_path / "truth.csv", ArenaSettings(), tmp_path / "out"))
    assert tagged[CHUNK + 5 :] == [c.name for c in clips[CHUNK:]]
    assert len((place / "files.jsonl").read_text().splitlines()) == CLIPS
    list(run_arena(clips, tmp_path / "truth.csv", ArenaSettings(), tmp_path / "out"))
    assert len(tagged) == CHUNK + 5 + CLIPS - CHUNK, "nothing is tagged a third time"
    clips[0].write_bytes(b"another file")
    (one,) = run_arena(clips, tmp_path / "truth.csv", ArenaSettings(), tmp_path / "out")
    assert len(tagged) == CHUNK + 5 + CLIPS - CHUNK + CLIPS, "a changed clip: all over again"
    assert one.figures.micro.value == 1.0


def test_the_folder_gets_a_page_and_the_card_a_section(
    clips: list[Path],
    tmp_path: Path,
    av_tag: AvTag,  # noqa: F811
) -> None:
    card = tmp_path / "card.md"
    card.write_text("# An ear\n\nWhat it is.\n")
    words = ("arena", *clips, "--truth", tmp_path / "truth.csv", "-o", tmp_path / "out")
    for _ in range(2):
        assert av_tag(*words, "--card", card, "--variants", "noise 0 dB").code == 0
    text = card.read_text()
    assert text.startswith("# An ear\n\nWhat it is.\n")
    assert text.count("Measured on 40 clips of 40 recordings by") == 1
    assert "| noise 0 dB | -1.00 [-1.00, -1.00] |" in text
    assert "--truth truth.csv" in text
    assert str(tmp_path) not in text
    page = (tmp_path / "out" / "arena.html").read_text()
    assert "ear starter" in page
    assert str(tmp_path) not in page
