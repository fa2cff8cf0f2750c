"""av-tag batch as a user types it: a folder or a list in, a run's folder out, a second start that goes on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import typer
from tests_assets import make_audio, make_video

from av_tagger.audio.checkpoint import Header, save_checkpoint
from av_tagger.audio.network import Architecture, build_network
from av_tagger.cli.batch import batch
from av_tagger.dcase import read_submission
from av_tagger.errors import UsageError
from av_tagger.labels import dcase2017
from av_tagger.reports.schema import read_outcomes
from av_tagger.scores import Failed, Tagged
from av_tagger.tagger import Tagger

NAMES = ["Y-1nilez17Dg_30.000_40.000", "YABCDEFGHIJK_0.000_10.000"]


@pytest.fixture(scope="module")
def ear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    architecture = Architecture(17, extractor_settings={"channels": (4, 4, 4, 4), "units": 4}, margin=5)
    path = tmp_path_factory.mktemp("ear") / "tiny.safetensors"
    save_checkpoint(path, build_network(architecture), Header("tiny", architecture, dcase2017().labels))
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
    made = [*map(str, words), "--ear", str(ear), "--offline", "--workers", "1"]
    return app(made, standalone_mode=False, prog_name="av-tag batch") or 0


def test_a_folder_becomes_a_run_that_goes_on(clips: Path, ear: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert go([clips, "-o", run, "--format", "csv", "--profile", "--threshold", "0.5", "-v"], ear) == 1
    said = capfd.readouterr().err
    assert "2 of 3 tagged (66.7%), 1 failed, 0 known before" in said
    assert "broken.mp4: is text" in said
    assert "1 decoding processes" in said
    assert (run / "profile.png").read_bytes().startswith(b"\x89PNG")
    assert (run / "results.tags.csv").is_file()
    outcomes = list(read_outcomes(run / "results.jsonl"))
    assert [type(o) for o in outcomes] == [Tagged, Tagged, Failed]
    before = (run / "results.jsonl").read_bytes()
    assert go([clips, "-o", run, "--threshold", "0.5"], ear) == 1
    assert "3 known before" in capfd.readouterr().err
    assert (run / "results.jsonl").read_bytes() == before


def test_a_batch_says_what_one_clip_alone_says(clips: Path, ear: Path, tmp_path: Path) -> None:
    from av_tagger.assemble import load

    go([clips, "-o", tmp_path / "run", "--limit", "2"], ear)
    tagger: Tagger = load(ear=str(ear), offline=True)
    for outcome in read_outcomes(tmp_path / "run" / "results.jsonl"):
        assert isinstance(outcome, Tagged)
        alone = tagger.tag(outcome.clip)
        for label, score in alone.scores.items():
            assert outcome.scores[label].fused == pytest.approx(score.fused, abs=1e-4)


def test_a_list_of_the_challenge_becomes_submissions(clips: Path, ear: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows = [f"{name[1:]}.wav\t{name.split('_')[-2]}\t{name.split('_')[-1]}\tBus" for name in NAMES]
    listed = tmp_path / "groundtruth_weak_label.csv"
    listed.write_text("\n".join([*rows, "ZZZZZZZZZZZ_0.000_10.000.wav\t0.000\t10.000\tCar"]))
    assert go([listed, "--media", clips, "-o", tmp_path / "run", "--threshold", "0"], ear) == 1
    assert "1 failed (missing), such as ZZZZZZZZZZZ_0.000_10.000.wav" in capfd.readouterr().err
    tags = read_submission(tmp_path / "run" / "submission.task_a.tsv")
    assert {row.key for row in tags} == {name[1:] for name in NAMES}
    assert {(row.start, row.end) for row in tags} == {(30.0, 40.0), (0.0, 10.0)}
    assert len(tags) == 34
    assert read_submission(tmp_path / "run" / "submission.task_b.tsv")


def test_detail_is_kept_and_asks_for_work_that_lacked_it(clips: Path, ear: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for words, known in (([], 0), (["--detail"], 0), (["--detail"], 1)):
        assert go([clips, "-o", tmp_path / "run", "--limit", "1", *words], ear) == 0
        assert f"{known} known before" in capfd.readouterr().err
    (document,) = [json.loads(line) for line in (tmp_path / "run" / "results.jsonl").read_text().splitlines()]
    assert document["detail"]["activity"]["values"]["Bus"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--shard", "3/2"], "expected i/n"),
        (["--engine", "rya"], "did you mean 'ray'"),
        (["--format", "docx"], "docx"),
        (["--address", "auto"], "--address is for --engine ray"),
        (["--devices", "cuda:0", "--processes", "2"], "one process a device"),
    ],
)
def test_what_cannot_be_meant_is_said_at_once(words: list[str], sentence: str, clips: Path, ear: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=sentence):
        go([clips, "-o", tmp_path / "run", *words], ear)
    assert not (tmp_path / "run").exists()
