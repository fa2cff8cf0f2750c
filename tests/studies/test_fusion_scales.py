"""Scales of the fusion files: chosen by held-out log loss, decisions stay, the file is readable."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from av_tagger.clip import Clip
from av_tagger.fusion import LOGIT, load_fusion, read_fusion, write_fusion
from av_tagger.fusion.logit import logit, sigmoid
from av_tagger.fusion.scales import Scales, ScoreScale
from av_tagger.reports.schema import as_line
from av_tagger.scores import BranchInfo, ClassScore, RunInfo, Status, Tagged
from av_tagger.studies.fusion_scales import AS_IS, LABELS, Table, choose, main, with_rows

COUNT = len(LABELS)
VIDEOS = 60


def table(slope: float, seed: int = 0, videos: int = 300) -> Table:
    """Scores whose log-odds are the true ones times `slope`."""
    rng = np.random.default_rng(seed)
    z = rng.normal(-2.0, 1.5, (videos, COUNT))
    truth = (rng.random(z.shape) < sigmoid(z)).astype(np.float64)
    truth[0, 0] = np.nan
    sources = np.array([f"s{i % 30}" for i in range(videos)])
    return Table(sigmoid(slope * z), truth, sources)


def test_calibrated_scores_stay_as_they_are() -> None:
    found = choose(table(1.0))
    assert found.name in ("as they are", "one for all classes")
    assert found.after[0] <= found.before[0]
    assert found.before[1] < 0.03


@pytest.mark.parametrize("slope", [0.4, 2.5])
def test_one_scale_for_all_mends_over_and_underconfidence(slope: float) -> None:
    found = choose(table(slope))
    assert found.after[0] < found.before[0] - 0.005
    assert found.after[1] < 0.5 * found.before[1]
    (scale,) = set(found.scales) if found.name == "one for all classes" else found.scales[:1]
    assert scale.slope == pytest.approx(1 / slope, rel=0.3)


def test_scores_without_skill_are_never_flattered() -> None:
    """The held-out figures are no better than those of a constant."""
    rng = np.random.default_rng(1)
    truth = (rng.random((200, COUNT)) < 0.1).astype(np.float64)
    random = Table(rng.random(truth.shape), truth, np.array([f"s{i % 20}" for i in range(200)]))
    found = choose(random)
    share = truth.mean()
    constant = -(share * np.log(share) + (1 - share) * np.log(1 - share))
    assert found.after[0] > constant - 0.01


def test_no_decision_changes() -> None:
    fusion = replace(load_fusion("logit", LABELS), scales=None)
    rng = np.random.default_rng(2)
    heard, seen = rng.random((500, COUNT)), rng.random((500, COUNT))
    seen[rng.random(seen.shape) < 0.7] = np.nan
    steep = (ScoreScale(1.7, -0.6),) * COUNT
    scaled = with_rows(fusion, steep, steep)
    np.testing.assert_array_equal(scaled.decide(heard, seen), fusion.decide(heard, seen))
    split = with_rows(fusion, steep, steep, (ScoreScale(0.8, 0.3),) * COUNT)
    np.testing.assert_array_equal(split.decide(heard, seen), fusion.decide(heard, seen))
    none = np.full_like(seen, np.nan)
    np.testing.assert_array_equal(split.decide(heard, none), fusion.decide(heard, none))
    nothing = np.full_like(heard, np.nan)
    np.testing.assert_array_equal(scaled.decide(nothing, seen), fusion.decide(nothing, seen))
    with pytest.raises(SystemExit, match="has scales already"):
        with_rows(scaled, steep, steep)


def test_a_scale_that_changes_nothing_keeps_every_bit() -> None:
    p = np.random.default_rng(3).random((50, COUNT)) ** 20
    rows = np.zeros(p.shape, np.int64)
    scales = Scales(both=(AS_IS,) * COUNT)
    np.testing.assert_array_equal(scales.apply(p, rows), p)
    assert AS_IS.as_list() == [1.0, 0.0]


@pytest.fixture
def arena(tmp_path: Path) -> Path:
    """Results of the ear `starter` and of the eye, which are right, but not sure enough."""
    folder = tmp_path / "arena"
    rng = np.random.default_rng(4)
    rows = ["file,labels,source,note"]
    lines: dict[str, list[str]] = {"ear-starter": [], "eye": []}
    for i in range(VIDEOS):
        here = rng.random(COUNT) < 0.3
        rows.append(f"v{i}.mp4,{'|'.join(np.array(LABELS)[here])},s{i % 20},".replace('"', ""))
        heard = sigmoid(0.5 * (rng.normal(size=COUNT) + 3 * here - 2))
        seen = np.where(here ^ (rng.random(COUNT) < 0.1), 0.8, 0.02)
        for name, values in (("ear-starter", heard), ("eye", seen)):
            lines[name].append(_line(i, values, ear=name != "eye"))
    header = rows[0]
    quoted = [header] + [_quoted(row) for row in rows[1:]]
    (tmp_path / "videos.csv").write_text("\n".join(quoted) + "\n")
    for name, content in lines.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "files.jsonl").write_text("\n".join(content) + "\n")
    return folder


def _quoted(row: str) -> str:
    """Labels hold commas."""
    name, _, rest = row.partition(",")
    labels, source, note = rest.rsplit(",", 2)
    return f'{name},"{labels}",{source},{note}'


def _line(i: int, values: np.ndarray, *, ear: bool) -> str:
    scores = {
        label: ClassScore(float(v), float(v) if ear else None, None if ear else float(v), 0.5)
        for label, v in zip(LABELS, values, strict=True)
    }
    branch = BranchInfo(Status.OK, "m")
    run = RunInfo("0", "cpu", "", 0.0)
    return as_line(Tagged(Clip(Path(f"v{i}.mp4")), 10.0, (), scores, (), branch, branch, run))


def test_the_command_writes_readable_scales(
    arena: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "weights"
    fusion = replace(load_fusion("logit", LABELS), scales=None)
    for name in (LOGIT, "fusion.starter.json"):
        write_fusion(fusion, weights / name)
    words = [str(arena), str(arena.parent / "videos.csv"), "--weights", str(weights)]
    main([*words, "--write", str(weights)])
    out = capsys.readouterr().out
    assert "eye: " in out
    assert "fusion.starter.json, with evidence: " in out
    assert "fusion.starter.json, without: one for all classes; held out log loss" in out
    made = read_fusion(weights / "fusion.starter.json", LABELS)
    assert made.scales is not None
    assert made.scales.both[0] is not None
    assert made.scales.unseen[0] is not None
    assert made.scales.unseen[0].slope > 1, "they were not sure enough"
    row = json.loads((weights / "fusion.starter.json").read_text())["classes"][0]
    assert row["ear_scale"] == [1.0, 0.0], "the ear's own file has calibrated it"
    assert len(row["both_scale"]) == 2
    other = json.loads((weights / LOGIT).read_text())["classes"][0]
    assert other["both_scale"] == [1.0, 0.0], "for ears that nothing was fitted to"
    assert other["eye_scale"] == row["eye_scale"]
    both = made.rows.both[0]
    assert logit(np.array(both)) == pytest.approx(
        made.scales.both[0].slope * logit(fusion.rows.both[0]) + made.scales.both[0].intercept,
        abs=1e-4,
    )
