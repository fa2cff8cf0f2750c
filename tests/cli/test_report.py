"""av-tag report: pages of a run or a file, embedded media, and results that cannot be read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from av_tagger.clip import Clip
from av_tagger.reports.schema import as_line
from av_tagger.scores import Failed, Outcome
from tests.assets import make_video
from tests.cli.conftest import AvTag
from tests.reports.conftest import dcase_clip, street, window

LONG_EVENT = (
    '{"schema": 1, "file": "a", "tags": [{"label": "Car", "probability": 1,'
    ' "events": [{"start": START, "end": 1e18}]}]}\n'
)


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """Three results, the first with its detail, and a failure."""
    broken = Failed(Clip(Path("broken.mp4")), "media", "broken.mp4: cannot be opened")
    outcomes: list[Outcome] = [street(), window(), dcase_clip(), broken]
    lines = [as_line(outcome, detail=n == 0) for n, outcome in enumerate(outcomes)]
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "results.jsonl").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize("name", ["", "results.jsonl"])
def test_a_run_becomes_an_index_and_pages(
    name: str, run_folder: Path, tmp_path: Path, av_tag: AvTag
) -> None:
    done = av_tag("report", run_folder / name, "-o", tmp_path / "out", "--no-listen")
    assert (done.code, done.out) == (0, "")
    assert done.err == f"wrote {tmp_path / 'out' / 'index.html'}\n"
    pages = {path.name: path.read_text() for path in (tmp_path / "out" / "pages").iterdir()}
    assert len(pages) == 3
    assert "data:image/jpeg" in pages["street_corner.html"], "key frames are in the detail"
    assert "cannot be opened" in (tmp_path / "out" / "index.html").read_text()


def test_quiet_prints_nothing(run_folder: Path, tmp_path: Path, av_tag: AvTag) -> None:
    done = av_tag("report", run_folder, "-o", tmp_path / "out", "--no-listen", "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")


def test_the_default_folder_is_report(
    run_folder: Path, tmp_path: Path, av_tag: AvTag, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert av_tag("report", run_folder, "--no-listen").code == 0
    assert (tmp_path / "report" / "index.html").is_file()


def test_media_files_are_embedded_and_their_sound_is_drawn(tmp_path: Path, av_tag: AvTag) -> None:
    video = make_video(tmp_path / "clip.mp4", seconds=1.0)
    line = as_line(replace(street(), clip=Clip(video), duration_seconds=1.0))
    (tmp_path / "r.jsonl").write_text(line + "\n")
    av_tag("report", tmp_path / "r.jsonl", "-o", tmp_path / "linked")
    av_tag("report", tmp_path / "r.jsonl", "-o", tmp_path / "whole", "--embed", "--no-listen")
    linked = (tmp_path / "linked" / "pages" / "clip.html").read_text()
    whole = (tmp_path / "whole" / "pages" / "clip.html").read_text()
    assert "mel spectrogram" in linked
    assert "data:video/mp4;base64," not in linked
    assert "mel spectrogram" not in whole
    assert "data:video/mp4;base64," in whole


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "no such file or folder; check the path"),
        ('{"schema": 99, "file": "a"}\n', "line 1: has schema 99, but this version"),
        ('{"schema": 1, "file": "a", "tags": 5}\n', "line 1: tags is 5; expected a list"),
        ("a.wav\t0\t10\tCar\n", "line 1: is not JSON"),
        (
            '{"schema": 1, "file": "a", "tags": [], "duration": 1e18}\n',
            "line 1: duration is 1e+18; expected a number from 0 to 31622400, or null",
        ),
        (
            LONG_EVENT.replace("START", "-1e18"),
            "line 1: tags[0].events[0].start is -1e+18; expected",
        ),
        (
            LONG_EVENT.replace("START", "0"),
            "line 1: tags[0].events[0].end is 1e+18; expected",
        ),
        ('{"schema": 1, "file": "a\\ud800", "tags": []}\n', "line 1: file is"),
        ('{"schema": 1, "file": "a\\u0000", "tags": []}\n', "line 1: file is"),
        (
            '{"schema": 1, "file": "a", "tags": [{"label": "\\udfff", "probability": 1}]}\n',
            "line 1: tags[0].label is",
        ),
        ('{"schema": 1, "file": "a", "tags": ' + "[" * 900 + "]" * 900 + "}\n", "line 1: tags[0]"),
        ('{"schema": 1, "file": "a", "tags": ' + "[" * 9000 + "]" * 9000 + "}\n", "too deeply"),
        ('{"schema": 1, "file": "a", "tags": [], "duration": 1' + "0" * 5000 + "}\n", "line 1: "),
    ],
)
def test_unreadable_results_are_one_sentence(
    content: str | None, sentence: str, tmp_path: Path, av_tag: AvTag
) -> None:
    path = tmp_path / "r.jsonl"
    if content is not None:
        path.write_text(content)
    done = av_tag("report", path, "-o", tmp_path / "out")
    assert (done.code, done.out) == (2, "")
    assert sentence in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_without_results_is_an_error(tmp_path: Path, av_tag: AvTag) -> None:
    done = av_tag("report", tmp_path)
    assert done.code == 2
    assert "has no results.jsonl" in done.err


def test_a_target_that_is_a_file_is_an_error(
    run_folder: Path, tmp_path: Path, av_tag: AvTag
) -> None:
    (tmp_path / "taken").write_text("")
    done = av_tag("report", run_folder, "-o", tmp_path / "taken", "--no-listen")
    assert done.code == 2
    assert "cannot be written" in done.err


def test_a_long_recording_has_few_ticks(tmp_path: Path, av_tag: AvTag) -> None:
    line = as_line(replace(street(), duration_seconds=300 * 86_400.0))
    (tmp_path / "r.jsonl").write_text(line + "\n")
    assert av_tag("report", tmp_path / "r.jsonl", "-o", tmp_path / "out", "--no-listen").code == 0
    page = (tmp_path / "out" / "pages" / "street_corner.html").read_text()
    assert 4 < page.count("<text ") <= 11


def test_pages_do_not_disclose_where_their_maker_keeps_files(tmp_path: Path, av_tag: AvTag) -> None:
    """Of an absolute path its last folders are shown; the link is relative to the page."""
    secret = tmp_path / "home of someone" / "films"
    one, two = (replace(street(), clip=Clip(secret / name)) for name in ("a/one.mp4", "b/two.mp4"))
    path = secret / "a" / "three.mp4"
    broken = Failed(Clip(path), "media", f"{path}: cannot be opened; see {path}")
    (tmp_path / "r.jsonl").write_text("\n".join(map(as_line, (one, two, broken))) + "\n")
    av_tag("report", tmp_path / "r.jsonl", "-o", secret / "site", "--no-listen")
    pages = [*(secret / "site").rglob("*.html")]
    assert len(pages) == 3
    for page in pages:
        assert str(tmp_path) not in page.read_text()
        assert "home of someone" not in page.read_text()
    index = (secret / "site" / "index.html").read_text()
    assert '"films/a"' in index
    assert "see three.mp4" in index
