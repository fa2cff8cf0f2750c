"""Outputs say what they wrote, and one target is never used for several files silently."""

from __future__ import annotations

from pathlib import Path

import pytest

from av_tagger.cli.options import OutputOptions
from av_tagger.cli.outputs import check_outputs, check_targets, write_outputs
from av_tagger.clip import Clip
from av_tagger.errors import UsageError
from av_tagger.scores import BranchInfo, ClassScore, Failed, Outcome, RunInfo, Status, Tag, Tagged
from tests.assets import make_audio, make_video

BRANCH = BranchInfo(Status.OK, "crnn", "crnn.starter")


def tagged(path: Path) -> Tagged:
    tags = (Tag("Train", 0.8, 0.5, 0.8, None),)
    scores = {"Train": ClassScore(0.8, 0.8, None, 0.5)}
    run = RunInfo("1", "cpu", "f", 1.0)
    return Tagged(Clip(path), 0.5, tags, scores, (), BRANCH, BRANCH, run)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Tagged]:
    folder = tmp_path_factory.mktemp("films")
    return [tagged(make_video(folder / f"{name}.mp4", seconds=0.5)) for name in "ab"]


def write(outcomes: list[Outcome], **flags: Path | str) -> list[str]:
    return list(write_outputs(outcomes, OutputOptions(**flags)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (OutputOptions(format="csv"), "--format needs a folder"),
        (OutputOptions(format="cvs", output=Path("x")), "did you mean 'csv'"),
        (OutputOptions(annotate=Path("out.webm")), "out.webm: films are written as .mp4, .m4v, "),
        (OutputOptions(annotate=Path("out.gif")), "give it one of these suffixes"),
    ],
)
def test_wrong_outputs_are_refused(options: OutputOptions, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_outputs(options)


def test_one_film_cannot_hold_several() -> None:
    options = OutputOptions(annotate=Path("out/many.mp4"))
    check_targets(options, 1)
    with pytest.raises(UsageError, match="names one film, but there are 4 files; name a folder, "):
        check_targets(options, 4)
    check_targets(OutputOptions(annotate=Path("out")), 4)


def test_every_output_is_one_line(films: list[Tagged], tmp_path: Path) -> None:
    page, copy = tmp_path / "page.html", tmp_path / "copy.mp4"
    said = write([films[0]], output=tmp_path, format="csv", report=page, annotate=copy)
    assert said == [
        f"wrote {tmp_path / 'results.tags.csv'}",
        f"wrote {tmp_path / 'results.events.csv'}",
        f"wrote {page}",
        f"wrote {copy}",
    ]
    assert all(Path(line.removeprefix("wrote ")).stat().st_size for line in said)


def test_a_report_of_two_films_is_a_folder_that_is_not_named_like_a_page(
    films: list[Tagged], tmp_path: Path
) -> None:
    assert write([*films], report=tmp_path / "two.html") == [f"wrote {tmp_path}/two/index.html"]
    assert not (tmp_path / "two.html").exists()
    assert len(list((tmp_path / "two" / "pages").iterdir())) == 2
    assert write([*films], report=tmp_path / "v1.2") == [f"wrote {tmp_path}/v1.2/index.html"]


def test_a_failed_file_is_in_the_index(films: list[Tagged], tmp_path: Path) -> None:
    failed = Failed(Clip(Path("broken.mp4")), "media", "broken.mp4: is empty")
    write([films[0], failed], report=tmp_path / "two.html")
    assert "broken.mp4" in (tmp_path / "two" / "index.html").read_text()


def test_several_films_are_annotated_into_a_folder(films: list[Tagged], tmp_path: Path) -> None:
    sound = tagged(make_audio(tmp_path / "c.wav", seconds=0.5))
    said = write([*films, sound], annotate=tmp_path / "out")
    assert said[:2] == [f"wrote {tmp_path}/out/{name}.mp4" for name in "ab"]
    assert said[2].startswith("--annotate left out ")
    assert "has no video track" in said[2]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.mp4", "b.mp4"]


def test_nothing_to_write_is_said(tmp_path: Path) -> None:
    failed = Failed(Clip(Path("x.mp4")), "media", "x.mp4: is empty")
    said = write([failed], report=tmp_path / "page.html", annotate=tmp_path / "a.mp4")
    assert said == [
        "--report wrote nothing: no file could be tagged",
        "--annotate wrote nothing: no file could be tagged",
    ]
