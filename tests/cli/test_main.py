"""The command as a user types it: exit codes, what goes to which stream, every wrong input one sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import torch

from av_tagger.audio.architecture import EarArchitecture
from av_tagger.audio.checkpoint import save_checkpoint
from av_tagger.audio.header import Header
from av_tagger.audio.network import build_network
from av_tagger.cli.main import COMMANDS, main
from av_tagger.labels import dcase2017
from tests.assets import make_audio, make_video

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def ear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ear with seeded weights: it tags nonsense, but always the same."""
    torch.manual_seed(0)
    settings = {"channels": (4, 4, 4, 4), "units": 4}
    architecture = EarArchitecture(17, extractor_settings=settings, margin=5)
    path = tmp_path_factory.mktemp("ear") / "tiny.safetensors"
    save_checkpoint(
        path, build_network(architecture), Header("tiny", architecture, dcase2017().labels)
    )
    return path


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(make_video(tmp_path_factory.mktemp("media") / "clip.mp4", seconds=2.0))


def run(words: Sequence[str], capfd: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(words)
    out, err = capfd.readouterr()
    assert "Traceback" not in err
    return int(ended.value.code or 0), out, err


def tag(
    words: Sequence[str | Path], ear: Path, capfd: pytest.CaptureFixture[str]
) -> tuple[int, str, str]:
    return run([*map(str, words), "--ear", str(ear), "--offline"], capfd)


def test_help_names_every_command(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(["--help"], capfd)
    assert code == 0
    assert all(name in out for name in COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run([name, "--help"], capfd)
    assert code == 0
    assert "Usage" in out


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from av_tagger.cli import main; sys.exit(any(m in sys.modules for m in ('torch', 'numpy', 'av', 'matplotlib')))"
    assert (
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=False,
        ).returncode
        == 0
    )


def test_a_file_is_tagged_without_naming_the_command(
    video: Path, ear: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, out, err = tag([video, "--threshold", "0"], ear, capfd)
    assert code == 0
    assert "clip.mp4" in out.replace("\n", "")
    assert "ear: crnn" in err
    assert "tiny" in err


def test_json_alone_on_stdout_and_as_the_schema_says(
    video: Path, ear: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = tag([video, "no.mp4", "--json", "--threshold", "0"], ear, capfd)
    lines = [json.loads(line) for line in out.splitlines()]
    schema = json.loads((ROOT / "av_tagger/resources/schema1.json").read_text())
    for line in lines:
        jsonschema.validate(line, schema)
    assert code == 1
    assert [Path(line["file"]).name for line in lines] == ["clip.mp4", "no.mp4"]
    assert len(lines[0]["tags"]) == 17
    assert "there is no such file" in lines[1]["error"]["message"]


def test_the_same_twice_and_alone_as_in_a_batch(
    video: Path, ear: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = Path(make_audio(tmp_path / "other.wav", seconds=1.0))
    _, alone, _ = tag([video, "--json"], ear, capfd)
    _, both, _ = tag([other, video, "--json"], ear, capfd)
    found = next(line for line in map(json.loads, both.splitlines()) if line["file"] == str(video))
    expected = json.loads(alone)
    for label, score in expected["scores"].items():
        assert found["scores"][label]["fused"] == pytest.approx(score["fused"], abs=1e-5)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.mp4", b"", "is empty (0 bytes)"),
        ("text.mp4", b"hello, I am a text\n" * 50, "is text, not media"),
        (
            "cdg.mp4",
            b"I am a text, not a film\n" * 30,
            "is text, not media",
        ),  # CD graphics to FFmpeg
        ("noise.mp4", np.random.default_rng(0).bytes(5000), "is not media that can be read"),
    ],
)
def test_a_bad_file_costs_itself_only(
    name: str,
    content: bytes,
    words: str,
    video: Path,
    ear: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / name).write_bytes(content)
    code, out, err = tag([tmp_path / name, video, "--json"], ear, capfd)
    assert code == 1
    assert len(out.splitlines()) == 2
    assert name in err
    assert words in err


def test_tracks_that_are_missing_are_no_failure(
    ear: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    silent = make_video(tmp_path / "silent.mp4", seconds=1.0, audio=None)
    sound = make_audio(tmp_path / "sound.wav", seconds=1.0)
    code, out, _ = tag([silent, sound, "--json"], ear, capfd)
    no_sound, no_picture = (json.loads(line) for line in out.splitlines())
    assert code == 0
    assert no_sound["ear"]["status"] == "no track"
    assert no_picture["eye"]["status"] == "no track"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--device", "cuda:7"], "there is no device 'cuda:7'"),
        (["--device", "abacus"], "there is no device 'abacus'"),
        (["--only", "nose"], "'nose' is not a choice"),
        (["--classes", "Trian"], "did you mean 'Train'"),
        (["--fusion", "papre"], "did you mean 'paper'"),
        (["--backend", "vlc"], "vlc"),
        (["--format", "csv"], "--format needs a folder"),
        (["--format", "docx", "-o", "out"], "docx"),
        (["--config", "none.toml"], "none.toml: cannot be read"),
    ],
)
def test_usage_errors_are_one_sentence_and_exit_2(
    words: list[str], sentence: str, video: Path, ear: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, out, err = tag([video, *words], ear, capfd)
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1


def test_settings_file(
    video: Path, ear: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "av-tag.toml"
    path.write_text('only = "ear"\n[events]\nhigh = 0.9\n')
    code, out, _ = tag([video, "--json", "--config", path], ear, capfd)
    assert code == 0
    assert json.loads(out)["eye"]["status"] == "off"
    path.write_text("[event]\nhigh = 0.9\n")
    code, _, err = tag([video, "--config", path], ear, capfd)
    assert code == 2
    assert f"{path}: there is no setting 'event'; did you mean 'events'?" in err


def test_classes_file_with_duplicates(
    video: Path, ear: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "classes.txt"
    path.write_text("Train\nTrain\n")
    code, _, err = tag([video, "--classes", path], ear, capfd)
    assert code == 2
    assert "class 'Train' is in the list more than once" in err
    assert str(path) in err


def test_other_classes_than_the_ear_knows(
    video: Path, ear: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = tag([video, "--classes", "Train;Dog", "--json"], ear, capfd)
    assert code == 0
    scores = json.loads(out)["scores"]
    assert list(scores) == ["Train", "Dog"]
    assert scores["Dog"]["heard"] is None
    assert scores["Train"]["heard"] is not None


def test_a_folder_without_media(
    ear: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("nothing to hear")
    code, _, err = tag([tmp_path], ear, capfd)
    assert code == 1
    assert f"{tmp_path}: this folder holds no media files" in err


def test_results_are_written(
    video: Path, ear: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    code, _, _ = tag(
        [
            video,
            "-o",
            tmp_path / "out",
            "--format",
            "json,csv",
            "--report",
            page,
            "--threshold",
            "0",
        ],
        ear,
        capfd,
    )
    assert code == 0
    assert "clip.mp4" in page.read_text()
    written = sorted(p.suffix for p in (tmp_path / "out").iterdir())
    assert ".csv" in written
    assert any(s.startswith(".json") for s in written)


def test_version_and_unknown_flag(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"], capfd)[1].startswith("av-tag ")
    code, _, err = run(["tag", "x.mp4", "--colour"], capfd)
    assert code == 2
    assert "--colour" in err


def test_weights_list_and_check(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(["weights", "list"], capfd)
    assert code == 0
    assert "MIT" in out
    assert run(["weights", "check", "efficientat.mn20"], capfd)[0] == 1
    code, _, err = run(["weights", "fetch", "efficientat.mn20", "--offline"], capfd)
    assert code == 2
    assert "mn20_as_mAP_478.pt" in err
    assert "elsewhere" in err


def test_doctor_answers(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(["doctor"], capfd)
    assert code == 0
    for subject in ("torch", "decoder pyav", "weights crnn.starter", "cache"):
        assert subject in out
