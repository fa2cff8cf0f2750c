"""Inputs of a run: folders, patterns, lists of paths, and DCASE lists."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from av_tagger.errors import MediaError, UsageError
from av_tagger.runner.sources import check_inputs, items
from tests.fakes import touch

CUT = "-1nilez17Dg_30.000_40.000"
OTHER = "ABCDEFGHIJK_0.000_10.000"


def found(*inputs: Path | str, media: list[Path] | None = None) -> list[str]:
    return [str(item.clip.path) for item in items([str(i) for i in inputs], media or ())]


def test_folders_and_patterns(tmp_path: Path) -> None:
    touch(tmp_path / "in", ["b.mp4", "a.wav", "notes.txt"])
    assert found(tmp_path / "in") == [f"{tmp_path}/in/a.wav", f"{tmp_path}/in/b.mp4"]
    assert found(tmp_path / "in" / "*.mp4") == [f"{tmp_path}/in/b.mp4"]
    with pytest.raises(MediaError, match="no file matches"):
        found(tmp_path / "*.avi")
    with pytest.raises(UsageError, match="name a folder"):
        found()


def test_a_list_keeps_its_order_and_finds_files_beside_it(tmp_path: Path) -> None:
    touch(tmp_path, ["b.mp4", "a.mp4"])
    (tmp_path / "list.txt").write_text(f"# mine\nb.mp4\n\n{tmp_path}/a.mp4\r\nnowhere.mp4\n")
    assert found(tmp_path / "list.txt") == [f"{tmp_path}/b.mp4", f"{tmp_path}/a.mp4", "nowhere.mp4"]


def test_a_list_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("x.mp4\ny.mp4\n"))
    assert found("-") == ["x.mp4", "y.mp4"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "groundtruth.csv",
            f"{CUT}.wav\t30.000\t40.000\tTrain horn\n{OTHER}.wav\t0.000\t10.000\tBus\n",
        ),
        (
            "testing_set.csv",
            (
                f'{CUT[:11]}, 30.000, 40.000, "Train horn", "/m/0284vy3"\n'
                f'{OTHER[:11]}, 0.000, 10.000, "Bus", "/m/01bjv"\n'
            ),
        ),
    ],
)
def test_dcase_lists(tmp_path: Path, name: str, text: str) -> None:
    touch(tmp_path / "media", [f"Y{CUT}.mp4"])
    (tmp_path / name).write_text(text)
    first, second = items([str(tmp_path / name)], [tmp_path / "media"])
    assert (first.listed, first.problem, first.clip.path) == (
        f"{CUT}.wav",
        "",
        tmp_path / "media" / f"Y{CUT}.mp4",
    )
    assert (second.listed, second.problem) == (f"{OTHER}.wav", "missing")
    with pytest.raises(UsageError, match="name the folder of its clips with --media"):
        found(tmp_path / name)


def test_an_over_long_line_costs_that_line_only(tmp_path: Path) -> None:
    touch(tmp_path, ["a.mp4", "b.mp4"])
    long = ["x" * 300 + ".mp4", "x" * 5000]
    lines = ["a.mp4", *long, "b.mp4"]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    assert found(tmp_path / "list.txt") == [f"{tmp_path}/a.mp4", *long, f"{tmp_path}/b.mp4"]
    check_inputs(["x" * 300 + ".mp4"], [])
    assert found("x" * 300 + ".mp4") == ["x" * 300 + ".mp4"]
