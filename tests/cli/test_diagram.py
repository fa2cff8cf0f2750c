"""--diagram of evaluate and tune: the reliability diagrams as a drawing."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.cli.conftest import AvTag
from tests.evaluation.runs import run_folder

CIRCLES = ".//{http://www.w3.org/2000/svg}circle"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return run_folder(tmp_path_factory.mktemp("run"), clips=300)


def drawn(path: Path) -> ET.Element:
    return ET.fromstring(path.read_text())


def test_evaluate_draws_heard_and_fused(
    run: tuple[Path, Path], tmp_path: Path, av_tag: AvTag
) -> None:
    target = tmp_path / "r.svg"
    done = av_tag("evaluate", run[0], "--truth", run[1], "--diagram", target)
    assert done.code == 0
    assert len(drawn(target).findall(CIRCLES)) > 10
    text = target.read_text()
    assert ">heard</text>" in text
    assert ">fused</text>" in text
    assert ">seen</text>" not in text, "evidence is no probability"


def test_tune_draws_before_and_after(run: tuple[Path, Path], tmp_path: Path, av_tag: AvTag) -> None:
    target = tmp_path / "r.svg"
    words = ("tune", run[0], "--truth", run[1], "-o", tmp_path / "f.json", "--diagram", target)
    assert av_tag(*words).code == 0
    text = target.read_text()
    assert ">before</text>" in text
    assert ">after</text>" in text
    assert len(drawn(target).findall(CIRCLES)) > 10


def test_a_submission_has_nothing_to_draw(
    run: tuple[Path, Path], tmp_path: Path, av_tag: AvTag
) -> None:
    target = tmp_path / "r.svg"
    done = av_tag("evaluate", run[1], "--truth", run[1], "--diagram", target)
    assert done.code == 2
    assert "nothing to draw; reliability needs scores of task a" in done.err
    assert not target.exists()
