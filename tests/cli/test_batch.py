"""av-tag batch from the command line: inputs to a run folder, resumed by a second run."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
import typer

from av_tagger.audio.architecture import EarArchitecture
from av_tagger.audio.checkpoint import save_checkpoint
from av_tagger.audio.header import Header
from av_tagger.audio.network import build_network
from av_tagger.cli.batch import batch
from av_tagger.dcase import read_submission
from av_tagger.errors import AvTaggerError, MissingExtra, StorageError, UsageError
from av_tagger.labels import dcase2017
from av_tagger.reports.schema import read_outcomes
from av_tagger.scores import Failed, Tagged
from av_tagger.tagger import Tagger
from tests.assets import make_audio, make_video
from tests.test_plan import driver
from tests.waiting import until

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="ray is not installed"
)
NAMES = ["Y-1nilez17Dg_30.000_40.000", "YABCDEFGHIJK_0.000_10.000"]


@pytest.fixture(scope="module")
def ear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    architecture = EarArchitecture(
        17, extractor_settings={"channels": (4, 4, 4, 4), "units": 4}, margin=5
    )
    path = tmp_path_factory.mktemp("ear") / "tiny.safetensors"
    save_checkpoint(
        path, build_network(architecture), Header("tiny", architecture, dcase2017().labels)
    )
    return path


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    make_video(folder / f"{NAMES[0]}.mp4", seconds=2.0)
    make_audio(folder / f"{NAMES[1]}.wav", seconds=2.0)
    (folder / "broken.mp4").write_bytes(b"hello, I am a text\n" * 50)
    return folder


def go(words: Sequence[str | Path], ear: Path) -> int:
    app = typer.Typer()
    app.command()(batch)
    made = ["--workers", "1", *map(str, words), "--ear", str(ear), "--offline"]
    return app(made, standalone_mode=False, prog_name="av-tag batch") or 0


def test_a_folder_is_tagged_and_the_run_resumed(
    clips: Path, ear: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert (
        go([clips, "-o", run, "--format", "csv", "--profile", "--threshold", "0.5", "-v"], ear) == 1
    )
    said = capfd.readouterr().err
    assert "2 of 3 done (66.7%), 1 failed, 0 from earlier runs" in said
    assert "broken.mp4: is text" in said
    assert "1 decoding process, " in said
    assert "overhead (all but decoding and networks)" in said
    assert f"wrote {run}/results.tags.csv" in said
    assert (run / "profile.png").read_bytes().startswith(b"\x89PNG")
    assert (run / "results.tags.csv").is_file()
    outcomes = list(read_outcomes(run / "results.jsonl"))
    assert [type(o) for o in outcomes] == [Tagged, Tagged, Failed]
    before = (run / "results.jsonl").read_bytes()
    assert go([clips, "-o", run, "--threshold", "0.5"], ear) == 1
    said = capfd.readouterr().err
    assert "3 from earlier runs" in said
    assert "skipped 1 that failed in an earlier run; use --retry-failed to try again" in said
    assert (run / "results.jsonl").read_bytes() == before


def test_a_batch_gives_the_results_of_single_clips(clips: Path, ear: Path, tmp_path: Path) -> None:
    from av_tagger.plan import load

    go([clips, "-o", tmp_path / "run", "--limit", "2"], ear)
    tagger: Tagger = load(ear=str(ear), offline=True)
    for outcome in read_outcomes(tmp_path / "run" / "results.jsonl"):
        assert isinstance(outcome, Tagged)
        alone = tagger.tag(outcome.clip)
        for label, score in alone.scores.items():
            assert outcome.scores[label].fused == pytest.approx(score.fused, abs=1e-4)


def test_a_dcase_list_becomes_submissions(
    clips: Path, ear: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = [f"{name[1:]}.wav\t{name.split('_')[-2]}\t{name.split('_')[-1]}\tBus" for name in NAMES]
    listed = tmp_path / "groundtruth_weak_label.csv"
    listed.write_text("\n".join([*rows, "ZZZZZZZZZZZ_0.000_10.000.wav\t0.000\t10.000\tCar"]))
    assert go([listed, "--media", clips, "-o", tmp_path / "run", "--threshold", "0"], ear) == 1
    assert "failed (missing): ZZZZZZZZZZZ_0.000_10.000.wav" in capfd.readouterr().err
    tags = read_submission(tmp_path / "run" / "submission.task_a.tsv")
    failed = {"ZZZZZZZZZZZ_0.000_10.000"}  # a bare name, so that its labels count as missed
    assert {row.key for row in tags} == {name[1:] for name in NAMES} | failed
    assert [row.label for row in tags if row.key in failed] == [None]
    tags = [row for row in tags if row.key not in failed]
    assert {(row.start, row.end) for row in tags} == {(30.0, 40.0), (0.0, 10.0)}
    assert len(tags) == 34
    assert read_submission(tmp_path / "run" / "submission.task_b.tsv")


def test_detail_is_kept_and_results_without_it_are_made_again(
    clips: Path, ear: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for words, known in (([], 0), (["--detail"], 0), (["--detail"], 1)):
        assert go([clips, "-o", tmp_path / "run", "--limit", "1", *words], ear) == 0
        assert f"{known} from earlier runs" in capfd.readouterr().err
    (document,) = [
        json.loads(line) for line in (tmp_path / "run" / "results.jsonl").read_text().splitlines()
    ]
    assert document["detail"]["activity"]["values"]["Bus"]


def test_more_formats_leave_the_table_unchanged(
    clips: Path, ear: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """`json` is the table itself; `json-detail` also keeps curves in it."""
    run = tmp_path / "run"
    assert go([clips, "-o", run, "--format", "json,json-detail,vtt", "--threshold", "0"], ear) == 1
    table, detail = (
        list(read_outcomes(run / name)) for name in ("results.jsonl", "results.detail.jsonl")
    )
    for outcomes in (table, detail):
        assert [isinstance(o, Tagged) and o.activity is not None for o in outcomes] == [
            True,
            True,
            False,
        ]
    assert f"wrote {run}/*.vtt, 2 files" in capfd.readouterr().err
    assert len(list(run.glob("*.vtt"))) == 2


def write_endless(path: Path) -> None:
    """Three days of sound, for the most part a hole of the file system."""
    size, rate = 2_000_000_000, 8000
    form = struct.pack("<IHHIIHH", 16, 1, 1, rate, rate, 1, 8)
    head = b"WAVEfmt " + form + b"data" + struct.pack("<I", size)
    with path.open("wb") as file:
        file.write(b"RIFF" + struct.pack("<I", len(head) + size) + head)
        file.truncate(8 + len(head) + size)


def command(words: Sequence[str | Path], ear: Path, *, sigint: bool = False) -> list[str]:
    """The command line of the console script."""
    start = "from av_tagger.cli.main import main; main()"
    if sigint:  # ignored in background jobs, and inherited
        start = f"import signal; signal.signal(2, signal.default_int_handler); {start}"
    return [sys.executable, "-c", start, "batch", *map(str, words), "--ear", str(ear), "--offline"]


@pytest.mark.parametrize("more", [[], ["--processes", "2"]], ids=["one", "two"])
def test_ctrl_c_ends_the_run_and_loses_nothing(
    more: list[str], clips: Path, ear: Path, tmp_path: Path
) -> None:
    """As in a terminal: the signal goes to the command and all its children.

    One of the files is so long that no machine is done before the signal comes.
    """
    many, run = tmp_path / "many", tmp_path / "run"
    many.mkdir()
    for i in range(24):
        (many / f"{i:02d}.mp4").hardlink_to(clips / f"{NAMES[0]}.mp4")
    endless = many / "12-endless.wav"
    write_endless(endless)
    words = [many, "-o", run, "--workers", "1", *more]
    started = subprocess.Popen(
        command(words, ear, sigint=True), stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    table = run / "results.jsonl"
    try:
        until(
            lambda: (
                started.poll() is not None
                or (table.exists() and table.read_bytes().count(b"\n") > 3)
            ),
            "results are there",
            240.0,
        )
    finally:
        os.killpg(started.pid, signal.SIGINT)
        _, said = started.communicate(timeout=120)
    assert started.returncode == 130
    done = len(list(read_outcomes(table)))
    assert 3 < done < 25
    assert (
        f"stopped; {done} results are safe in {table}; run the same command again to resume" in said
    )
    assert "Traceback" not in said
    if not more:
        endless.unlink()
        assert go(words, ear) == 0
        names = [Path(json.loads(line)["file"]).name for line in table.read_text().splitlines()]
        assert names == [f"{i:02d}.mp4" for i in range(24)]


def numbers(document: Any) -> list[Any]:
    """All keys and values of a document, one after the other."""
    if isinstance(document, dict):
        return [x for key, value in document.items() for x in (key, *numbers(value))]
    return (
        [x for value in document for x in numbers(value)]
        if isinstance(document, list)
        else [document]
    )


def same(one: Path, other: Path) -> None:
    found = [
        [json.loads(line) for line in (run / "results.jsonl").read_text().splitlines()]
        for run in (one, other)
    ]
    assert len(found[0]) == 3
    for a, b in zip(*map(numbers, found), strict=True):
        assert b == (pytest.approx(a, abs=1e-4) if isinstance(a, float) else a)


@pytest.mark.parametrize(
    "words", ["--workers 3 --batch 1", "--workers 2 --batch 7", "--processes 2"]
)
def test_batch_size_and_processes_do_not_change_results(
    words: str, clips: Path, ear: Path, tmp_path: Path
) -> None:
    """Bit for bit; in larger batches up to rounding, as networks may sum in another order."""
    assert go([clips, "-o", tmp_path / "plain", "--detail"], ear) == 1
    assert go([clips, "-o", tmp_path / "other", "--detail", *words.split()], ear) == 1
    same(tmp_path / "plain", tmp_path / "other")
    if "--batch 7" not in words:
        one, other = (tmp_path / name / "results.jsonl" for name in ("plain", "other"))
        assert one.read_bytes() == other.read_bytes()


@needs_ray
def test_ray_does_not_change_results(clips: Path, ear: Path, tmp_path: Path) -> None:
    """In its own process, as Ray warns and forks; that one imports no network."""
    assert go([clips, "-o", tmp_path / "plain", "--detail"], ear) == 1
    words = ("--detail", "--engine", "ray", "--processes", "2", "--ear", str(ear), "--offline")
    last = driver(tmp_path, "batch", str(clips), "-o", str(tmp_path / "other"), *words)
    assert last == "ended with 1 after importing []"
    same(tmp_path / "plain", tmp_path / "other")


def test_a_broken_parquet_library_is_reported_before_the_run(
    clips: Path, ear: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match="pip install pyarrow"):
        go([clips, "-o", tmp_path / "run", "--format", "parquet"], ear)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nowhere", "nowhere: there is no such file or folder"),
        ("nolist.txt", "nolist.txt: there is no such file or folder"),
        ("empty.txt", "there is nothing to do"),
        ("empty", "this folder holds no media files"),
        ("*.avi", "no file matches this pattern"),
    ],
)
def test_missing_inputs_are_reported_before_networks_are_loaded(
    name: str, sentence: str, ear: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.txt").write_text("# nothing yet\n")
    with pytest.raises(AvTaggerError, match=re.escape(sentence)):
        go([tmp_path / name, "-o", tmp_path / "run"], ear.with_name("no such ear"))
    assert not (tmp_path / "run").exists()


def test_a_missing_file_among_others_fails_alone(
    clips: Path, ear: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert go([clips / f"{NAMES[1]}.wav", clips / "nope.mp4", "-o", tmp_path / "run"], ear) == 1
    assert "nope.mp4: there is no such file; check the name" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--shard", "3/2"], "expected i/n"),
        (["--engine", "rya"], "did you mean 'ray'"),
        (["--decode", "nvdek"], "did you mean 'nvdec'"),
        (["--decode", "nvdec", "--device", "cpu"], "--decode nvdec needs a CUDA device"),
        (["--format", "docx"], "docx"),
        (["--address", "auto"], "--address needs --engine ray"),
        (["--devices", "cuda:0", "--processes", "2"], "one process per device"),
        (["--media", "nowhere"], "nowhere: there is no such folder"),
    ],
)
def test_wrong_flags_are_reported_at_once(
    words: list[str], sentence: str, clips: Path, ear: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=sentence):
        go([clips, "-o", tmp_path / "run", *words], ear)
    assert not (tmp_path / "run").exists()


def test_a_folder_in_use_is_refused_before_networks_are_loaded(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from av_tagger.cli import batch_engines
    from av_tagger.cli.batch import _batch
    from av_tagger.cli.batch_options import BatchOptions
    from av_tagger.runner.run import _locked

    loaded: list[object] = []
    monkeypatch.setitem(batch_engines.ENGINES, "local", lambda *a: loaded.append(a))
    options = BatchOptions(inputs=[str(clips)], output=tmp_path / "run")
    with _locked(tmp_path / "run"), pytest.raises(UsageError, match="another run uses"):
        _batch(options)
    long = BatchOptions(inputs=[str(clips)], output=tmp_path / ("x" * 300))
    with pytest.raises(AvTaggerError, match="too long"):
        _batch(long)
    assert loaded == []


@pytest.mark.parametrize("format", [None, "csv"])
def test_a_journal_of_a_later_version_is_refused_before_networks_are_loaded(
    format: str | None,  # noqa: A002 - the flag's name
    clips: Path,
    ear: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = [clips, "-o", tmp_path / "run", *(["--format", format] if format else [])]
    go(words, ear)
    with closing(sqlite3.connect(tmp_path / "run" / "journal.sqlite")) as db, db:
        db.execute("PRAGMA user_version = 99")
    before = (tmp_path / "run" / "results.jsonl").read_bytes()
    monkeypatch.setattr("av_tagger.plan.Plan.build", None)
    with pytest.raises(StorageError, match="written by a later version of av-tag; update av-tag"):
        go(words, ear)
    assert (tmp_path / "run" / "results.jsonl").read_bytes() == before


def test_tables_are_equal_bit_for_bit_whatever_the_neighbours(
    clips: Path, ear: Path, tmp_path: Path
) -> None:
    """With other numbers of decoders and threads, in another order, alone and resumed."""
    folder = tmp_path / "clips"
    folder.mkdir()
    for n, seconds in enumerate((2.0, 1.3, 3.1, 0.4, 2.0)):
        make_video(folder / f"{n}.mp4", seconds=seconds)
    straight = [folder, "-o", tmp_path / "a", "--workers", "1", "--detail"]
    assert go(straight, ear) == 0
    expected = (tmp_path / "a" / "results.jsonl").read_bytes().splitlines()
    assert go([folder, "-o", tmp_path / "b", "--workers", "4", "--detail", "--shuffle"], ear) == 0
    assert (tmp_path / "b" / "results.jsonl").read_bytes().splitlines() == expected
    for n, line in list(enumerate(expected))[1:3]:
        assert go([folder / f"{n}.mp4", "-o", tmp_path / f"c{n}", "--detail"], ear) == 0
        assert (tmp_path / f"c{n}" / "results.jsonl").read_bytes().splitlines() == [line]
