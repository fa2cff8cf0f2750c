"""Submissions as the challenge's reader and its newer versions read them; remarks on them."""

from __future__ import annotations

import csv
import importlib
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import pytest

from av_tagger.clip import Clip
from av_tagger.dcase import SoundEvent, from_outcomes, write_events
from av_tagger.dcase.submission import in_readable_order
from av_tagger.scores import BranchInfo, Failed, RunInfo, Status, Tagged

NAMES = [f"{letter * 11}_30.000_40.000" for letter in "abc"]
EVENTS = {
    NAMES[0]: (),
    NAMES[1]: (SoundEvent("Air horn, truck horn", 0.5, 2.0),),
    NAMES[2]: (SoundEvent("Train", 1.0, 3.25), SoundEvent("Car", 2.0, 4.0)),
}


def load_event_list(path: Path) -> list[list[str]]:
    """The reader of sed_eval 0.1, which the challenge used: the first row tells the separator."""
    with path.open(newline="") as file:
        dialect = csv.Sniffer().sniff(file.readline(), [",", ";", "\t"])
        file.seek(0)
        return list(csv.reader(file, dialect))


def test_the_reader_of_the_challenge_takes_the_first_row(tmp_path: Path) -> None:
    """A bare name there is an error for it, and a label with a comma another separator."""
    write_events(tmp_path / "b.tsv", EVENTS)
    rows = load_event_list(tmp_path / "b.tsv")
    assert [row[3] for row in rows if len(row) == 4] == ["Train", "Car", "Air horn, truck horn"]
    assert rows[-1] == [f"{NAMES[0]}.wav"]
    (tmp_path / "old.tsv").write_text(f"{NAMES[0]}.wav\n{NAMES[1]}.wav\t0.5\t2.0\tTrain\n")
    with pytest.raises(csv.Error):
        load_event_list(tmp_path / "old.tsv")


def test_a_text_file_beside_it_has_the_same_rows(tmp_path: Path) -> None:
    write_events(tmp_path / "b.tsv", EVENTS)
    assert (tmp_path / "b.txt").read_bytes() == (tmp_path / "b.tsv").read_bytes()


def test_newer_versions_read_every_event_of_the_text_file(tmp_path: Path) -> None:
    write_events(tmp_path / "b.tsv", EVENTS)
    found = _sed_eval().io.load_event_list(str(tmp_path / "b.txt"))
    read = {(e.filename, e.onset, e.offset, e.event_label) for e in found if "onset" in e}
    assert read == {
        (f"{name}.wav", e.start, e.end, e.label) for name, events in EVENTS.items() for e in events
    }
    heading = _sed_eval().io.load_event_list(str(tmp_path / "b.tsv"))
    assert len([e for e in heading if e.get("event_label")]) < 3, "why the text file is there"


def _sed_eval() -> Any:
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if importlib.util.find_spec("pkg_resources") is None:
            patch.setitem(sys.modules, "pkg_resources", types.ModuleType("pkg_resources"))
        return pytest.importorskip("sed_eval")


def test_only_the_order_of_rows_changes() -> None:
    rows = ["a.wav", "b.wav\t0\t1\tAir horn, truck horn", "c.wav\t0\t1\tCar", "d.wav"]
    assert list(in_readable_order(rows)) == [rows[2], rows[1], rows[0], rows[3]]
    assert list(in_readable_order(rows[:2])) == [rows[1], rows[0]]


def test_failed_and_short_clips_are_told() -> None:
    branch, run = BranchInfo(Status.OK, "fake"), RunInfo("0", "cpu", "", 0.0)
    short, whole = (
        Tagged(Clip(Path("v.wav")), seconds, (), {}, (), branch, branch, run)
        for seconds in (6.0, 9.7)
    )
    failed = Failed(Clip(Path("w.mp4")), "media", "broken")
    outcomes = zip(NAMES, (short, whole, failed), strict=True)
    made = from_outcomes([*outcomes, ("street", short)])
    assert made.remarks == (
        "1 clip that failed is a bare name in the submission: untagged",
        f"1 clip is shorter than listed, such as: {NAMES[0]} has 6.0 of 10.0 s",
    )
    assert from_outcomes([(NAMES[1], whole)]).remarks == ()
