"""What `av-tag batch` prints at the end of a run."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from av_tagger.cli.batch_engines import wants_detail
from av_tagger.cli.batch_options import BatchOptions
from av_tagger.cli.batch_summary import (
    show_interrupted,
    show_profile,
    show_summary,
    show_written,
)
from av_tagger.cli.console import Console
from av_tagger.errors import MissingExtra
from av_tagger.runner import profile_plot
from av_tagger.runner.journal import RunCounts
from av_tagger.runner.profile import Profile
from av_tagger.runner.profiler import ONLY_PROCESS, Profiler
from av_tagger.runner.repair import Repair
from av_tagger.runner.run import RunRequest, Summary
from av_tagger.runner.selection import Selection


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=200, highlight=False)


def printed(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def profile() -> Profile:
    profiler = Profiler()
    for stage in ("decode", "see", "features", "queue"):
        with profiler.of(stage):
            pass
    return Profile.of([(ONLY_PROCESS, profiler.as_text())])


def summary(folder: Path = Path("run"), **changes: Any) -> Summary:
    values: dict[str, Any] = {
        "folder": folder,
        "counts": RunCounts(4, 3, 1),
        "skipped": 2,
        "failed_before": 0,
        "failures": [("media", 1, "a.mp4: is broken")],
        "branch_statuses": [("ok", "ok", 1), ("degraded", "missing", 1), ("ok", "off", 1)],
        "seconds": 4.0,
        "profile": profile(),
        "files": (folder / "results.jsonl",),
    }
    return Summary(**(values | changes))


def test_counts_coverage_and_files(console: Console) -> None:
    show_summary(console, summary(), quiet=False)
    assert printed(console) == [
        "av-tag: failed (media): a.mp4: is broken",
        "3 of 4 done (75.0%), 1 failed, 2 from earlier runs",
        "heard 3, seen 1 of 3; 4.0 s, 0.50 clips/s",
        "wrote run/results.jsonl",
    ]


def test_the_summary_by_tag(console: Console, tmp_path: Path) -> None:
    lines = [
        '{"schema": 1, "file": "a \\"tags\\": [.mp4", "tags": [{"label": "Dog", "events": []}]}',
        '{"schema": 1, "file": "b.mp4", "tags": [{"label": "Dog"}, {"label": "Cat"}]}',
        '{"schema": 1, "file": "c.mp4", "tags": []}',
        '{"schema": 1, "file": "d.mp4", "error": {"kind": "media", "message": "x"}}',
    ]
    (tmp_path / "results.jsonl").write_text("\n".join(lines) + "\n")
    show_summary(console, summary(tmp_path, failures=[]), quiet=False)
    said = printed(console)
    assert "2 with tags, 1 without" in said
    assert "tags: Dog 2, Cat 1" in said


def test_skipped_files_are_said(console: Console) -> None:
    skipped = [Path("a.txt"), Path("b.txt"), Path("c")]
    show_summary(console, summary(failures=[]), quiet=False, skipped=skipped)
    assert "skipped: 3 files are not media (2 .txt, 1 no suffix)" in printed(console)


def test_failures_are_grouped_by_kind(console: Console) -> None:
    failures = [("media", 5, "a.mp4: is broken"), ("timeout", 1, "b.mp4: took too long")]
    many = summary(counts=RunCounts(9, 3, 6), failures=failures)
    show_summary(console, many, quiet=True)
    assert printed(console) == [
        "av-tag: 5 failed (media), such as a.mp4: is broken",
        "av-tag: failed (timeout): b.mp4: took too long",
        'av-tag: each failure is a line with "error" in run/results.jsonl',
    ]


def test_skipped_failures_name_the_flag(console: Console) -> None:
    show_summary(console, summary(failed_before=2), quiet=False)
    expected = "skipped 2 that failed in an earlier run; use --retry-failed to try again"
    assert expected in printed(console)


def test_without_new_clips_there_is_no_rate(console: Console) -> None:
    show_summary(console, summary(skipped=4, failures=[], counts=RunCounts(4, 4, 0)), quiet=False)
    assert "heard 3, seen 1 of 4; 4.0 s" in printed(console)


def test_written_formats(console: Console) -> None:
    written = Counter({"run/results.csv": 1, "run/*.srt": 3, "run/*.vtt": 1})
    show_written(console, written, quiet=False)
    assert printed(console) == [
        "wrote run/results.csv",
        "wrote run/*.srt, 3 files",
        "wrote run/*.vtt, 1 file",
    ]
    show_written(console, written, quiet=True)
    assert len(printed(console)) == 3


def test_the_profile_is_a_table_and_a_chart(console: Console, tmp_path: Path) -> None:
    show_profile(console, summary(tmp_path))
    text = "\n".join(printed(console))
    assert "decoders wait: queue is full" in text
    assert "overhead (all but decoding and networks)" in text
    assert f"wrote {tmp_path / 'profile.png'}" in text
    assert (tmp_path / "profile.png").is_file()


def test_without_the_chart_the_table_is_still_printed(
    console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MissingExtra("matplotlib cannot be loaded")

    monkeypatch.setattr(profile_plot, "draw", fail)
    show_profile(console, summary(tmp_path))
    assert "matplotlib cannot be loaded" in printed(console)
    assert "decode" in "\n".join(printed(console))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (None, "there are no results yet"),
        (0, "there are no results yet"),
        (1, "1 result is safe in"),
        (3, "3 results are safe in"),
    ],
)
def test_an_interrupted_run_says_how_to_resume(
    console: Console, tmp_path: Path, lines: int | None, said: str
) -> None:
    if lines is not None:
        (tmp_path / "results.jsonl").write_text("{}\n" * lines)
    show_interrupted(console, RunRequest(tmp_path, (), "f"))
    (line,) = printed(console)
    assert line.startswith(f"av-tag: stopped; {said}")
    assert line.endswith("run the same command again to resume")


def test_the_results_of_a_shard_are_in_its_own_folder(console: Console, tmp_path: Path) -> None:
    folder = tmp_path / "shard-2-of-3"
    folder.mkdir()
    (folder / "results.jsonl").write_text("{}\n")
    show_interrupted(console, RunRequest(tmp_path, (), "f", Selection(shard=(2, 3))))
    assert str(folder) in printed(console)[0]


@pytest.mark.parametrize(
    ("format", "detail", "wanted"),
    [
        (None, False, False),
        (None, True, True),
        ("csv, JSON-detail", False, True),
        ("json,csv", False, False),
    ],
)
def test_some_formats_need_detail(format: str | None, detail: bool, wanted: bool) -> None:  # noqa: A002 - the flag's name
    options = BatchOptions(inputs=["x"], output=Path("run"), format=format, detail=detail)
    assert wants_detail(options) == wanted


def test_control_characters_of_names_are_shown_escaped(console: Console) -> None:
    name = "a\x1b]0;owned\x07\x1b[2J\n\u202e\udcff.mp4"
    shown = r"a\x1b]0;owned\x07\x1b[2J\n\u202e\udcff.mp4"
    show_summary(
        console,
        summary(Path("run\x1b"), failures=[("media", 1, f"{name}: is broken")]),
        quiet=False,
    )
    show_written(console, Counter({name: 1}), quiet=False)
    show_interrupted(console, RunRequest(Path(name), [], "f"))
    found = printed(console)
    assert f"av-tag: failed (media): {shown}: is broken" in found
    assert f"wrote {shown}" in found
    assert all(line.isprintable() for line in found)


def test_repairs_are_said(console: Console) -> None:
    repair = Repair(broken=2, saved=7, damaged=Path("run/journal.damaged.sqlite"))
    show_summary(console, summary(repair=repair), quiet=True)
    assert printed(console)[1:] == [
        (
            "av-tag: the journal was damaged: 7 results of it were saved, the others were made "
            "again; it is kept as run/journal.damaged.sqlite"
        ),
        "av-tag: 2 damaged results of earlier runs left out and made again if listed",
    ]
    show_summary(console, summary(repair=Repair(broken=1), failures=[]), quiet=True)
    assert printed(console)[-1] == (
        "av-tag: 1 damaged result of earlier runs left out and made again if listed"
    )
