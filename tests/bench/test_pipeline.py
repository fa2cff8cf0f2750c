"""The pipeline benchmark: tables from known costs, parts, failures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from av_tagger.bench import pipeline, pipeline_report
from av_tagger.bench.clips import make_clip
from av_tagger.bench.naive import KEYFRAMES, Naive, build
from av_tagger.bench.pipeline import Sides, by_runner, decode_only, make_tagger, parts_alone, timed
from av_tagger.bench.pipeline_report import PassCost, report, report_parts, report_profile
from av_tagger.bench.pipeline_settings import PipelineSettings
from av_tagger.config import FAST_FRAME_RATE
from av_tagger.media import DecoderPool
from av_tagger.runner.concurrency import Concurrency

NETWORK = "mobilenetv3_small_050"
SETTINGS = PipelineSettings(clips=2, recogniser=NETWORK, matrix=64)
COSTS = {
    "naive": PassCost(40.0, 80.0),
    "runner": PassCost(10.0, 16.0),
    "decode only": PassCost(5.0, 2.0),
    "features": PassCost(1.0, 4.0),
    "key frames": PassCost(1.0, 0.4),
    "recognise": PassCost(1.0, 6.0),
    "hear": PassCost(1.0, 0.4),
}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("clips")
    return [make_clip(folder / f"{i}.mp4", "mpeg4", (96, 64), 1.0) for i in range(3)]


@pytest.fixture(scope="module")
def plain() -> Naive:
    torch.manual_seed(0)
    return build(NETWORK)


@pytest.fixture
def sides(plain: Naive) -> Iterator[Sides]:
    pool = DecoderPool(keep=4)
    yield Sides(make_tagger(SETTINGS), pool, Concurrency(1, 1, 1, 2, 1 << 26), plain)
    pool.close()


def test_the_table_of_rates(capsys: pytest.CaptureFixture[str]) -> None:
    """Two clips of ten seconds."""
    report(COSTS, 2, 10.0)
    said = capsys.readouterr().out
    rows = {line[:12].strip(): line[12:].split() for line in said.splitlines()}
    assert rows["naive"] == ["0.05", "0.5", "20.00", "40.00"]
    assert rows["runner"] == ["0.20", "2.0", "5.00", "8.00"]
    assert "runner against naive: 4.00 x by wall time, 5.00 x by CPU time" in said
    assert "runner against decode only: 50% of its rate" in said


def test_the_figures_for_json() -> None:
    found = pipeline_report.figures(COSTS, SETTINGS)
    assert found["runner_over_naive"] == 4.0
    assert found["runner_over_naive_cpu"] == 5.0
    assert found["runner_over_decode"] == 0.5
    assert found["clips_per_second"]["runner"] == 0.2  # type: ignore[index]
    assert found["cpu_s_per_clip"]["features"] == 2.0  # type: ignore[index]


def test_the_table_of_parts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Per clip the parts take 1 + 2 + 0.2 + 3 + 0.2 s, the runner 8 s, the limits 1 + 0.5 + 1.5."""
    limits = {"features": 0.5, "recognise": 1.5}
    monkeypatch.setattr(pipeline_report, "_limits", lambda _: limits)
    report_parts(COSTS, SETTINGS)
    said = capsys.readouterr().out
    assert re.search(r"features +2\.000 +0\.500 +25%", said)
    assert re.search(r"recognise +3\.000 +1\.500 +50%", said)
    assert re.search(r"sum +6\.400 +3\.000", said)
    assert "the runner takes 8.000: 80% of the speed of its parts, 38% of the limits" in said


def test_limits_follow_from_the_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a billion operations per second: AlexNet on 24 frames per second, Inception-v4 on four."""
    monkeypatch.setattr(pipeline_report, "matmul_rate", lambda kind, n: 1e9)
    found = pipeline_report._limits(PipelineSettings(seconds=10.0))
    assert found["features"] == pytest.approx(240 * 1.31, rel=0.01)
    assert found["recognise"] == pytest.approx(4 * 24.5)
    fast = pipeline_report._limits(PipelineSettings(seconds=10.0, fast=True))
    assert fast["features"] / found["features"] == pytest.approx(FAST_FRAME_RATE / 24)
    assert "recognise" not in pipeline_report._limits(SETTINGS), "its arithmetic is not known"


def test_the_runner_tags_all_clips_and_is_profiled(
    sides: Sides, clips: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    profile = by_runner(sides, clips)
    rows = {row.stage: row for row in profile.rows()}
    assert {"decode", "hear", "see"} <= set(rows)
    report_profile(profile)
    said = capsys.readouterr().out
    assert "overhead besides decoding and networks" in said
    assert len(said.splitlines()) == len(profile.rows()) + 1


def test_a_clip_that_fails_ends_the_benchmark(sides: Sides, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    with pytest.raises(RuntimeError, match=r"the runner failed: .*bad\.mp4"):
        by_runner(sides, [tmp_path / "bad.mp4"])


def test_parts_get_all_windows_in_batches(sides: Sides, clips: list[Path]) -> None:
    parts = parts_alone(sides, clips)
    results = {name: part() for name, part in parts.items()}
    heard = [scores for batch in results["hear"] for scores in batch]  # type: ignore[attr-defined]
    assert len(heard) == len(clips)
    rows = sum(len(batch) for batch in results["recognise"])  # type: ignore[attr-defined]
    assert rows == KEYFRAMES * len(clips)
    features = [f for batch in results["features"] for f in batch]  # type: ignore[attr-defined]
    assert [len(f) for f in features] == [24] * len(clips)


def test_decoding_alone_costs_time_of_the_decoders(sides: Sides, clips: list[Path]) -> None:
    decode_only(sides, clips)
    assert sides.pool.pids(), "decoders are processes of their own"
    cost = timed(lambda: [decode_only(sides, clips) for _ in range(10)], sides.pool)
    assert cost.wall > 0
    assert cost.cpu > 0


def test_medians_of_passes() -> None:
    costs = [PassCost(1, 30), PassCost(3, 10), PassCost(2, 20)]
    assert pipeline._median(costs) == PassCost(2, 20)


def test_fast_asks_for_fewer_frames() -> None:
    plain, fast = (
        make_tagger(PipelineSettings(recogniser=NETWORK, fast=fast)).parts.request
        for fast in (False, True)
    )
    assert (plain.frame_rate, plain.skip_nonref) == (None, False)
    assert (fast.frame_rate, fast.skip_nonref) == (FAST_FRAME_RATE, True)
    assert not PipelineSettings().int8
