"""Every benchmark runs once at its smallest size, and prints figures that make sense."""

from __future__ import annotations

import ast
import csv
import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from av_tagger.audio.known.efficientat import EfficientAT
from av_tagger.bench import gpu
from av_tagger.errors import DeviceError
from tests import ROOT
from tests.assets import Audio, make_audio, make_video, tone

Run = Callable[..., str]
SMALL_NETWORK = "mobilenetv3_small_050"
MODULES = sorted(p.stem for p in (ROOT / "av_tagger" / "bench").glob("*.py"))


@pytest.fixture(autouse=True)
def threads() -> object:
    """Benchmarks set the number of threads of torch for this process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """The output of the main function of a benchmark."""

    def run(name: str, *words: object) -> str:
        importlib.import_module(f"av_tagger.bench.{name}").main(list(map(str, words)))
        return capsys.readouterr().out

    return run


def numbers(pattern: str, text: str) -> list[float]:
    """The captured numbers of all matches; there must be one."""
    found = [float(n.replace(",", "")) for n in re.findall(pattern, text)]
    assert found, f"{pattern!r} is not in:\n{text}"
    return found


def mains() -> list[str]:
    """The benchmarks that can be started by themselves."""
    folder = ROOT / "av_tagger" / "bench"
    trees = {name: ast.parse((folder / f"{name}.py").read_text()) for name in MODULES}
    return [
        name
        for name, tree in trees.items()
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body)
    ]


def test_every_main_is_run_here() -> None:
    tested = {
        node.args[0].value
        for node in ast.walk(ast.parse(Path(__file__).read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "run"
        and isinstance(node.args[0], ast.Constant)
    }
    assert len(mains()) >= 15
    assert set(mains()) - tested == set()


@pytest.mark.parametrize("name", mains())
def test_help_shows_how_it_is_started(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"av_tagger.bench.{name}").main(["--help"])
    assert ended.value.code == 0
    assert f"python -m av_tagger.bench.{name}" in capsys.readouterr().out


def test_a_wrong_option_is_one_sentence_on_the_command_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "av_tagger.bench.pipeline", "--kinds", "h246:96x64"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.strip() == "--kinds: there is no codec 'h246'; did you mean 'h264'?"


def test_bags(run: Run, tmp_path: Path) -> None:
    said = run("bags", tmp_path / "bags.png", "--seeds", 10, "--steps", 2, "--bags", 10)
    assert said.index("rare positives") < said.index("common positives")
    shares = numbers(r" (\d\.\d{3}) ±", said)
    assert len(shares) % 3 == 0
    assert all(0 <= share <= 1 for share in shares)
    with Image.open(tmp_path / "bags.png") as picture:
        assert picture.size[0] > 500


def test_ear(run: Run) -> None:
    said = run("ear", "--rounds", 1, "--seconds", 1, "--sizes", 1, 2)
    assert all(n > 0 for n in numbers(r"([\d.]+) as built", said))
    assert len(numbers(r"([\d.]+) per clip, float32", said)) == 2
    assert len(numbers(r"([\d.]+) per clip, bfloat16", said)) == 2
    assert numbers(r"parameters +([\d,]+)", said)[0] > 100_000


def test_ear_without_librosa(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "librosa", None)
    said = run("ear", "--rounds", 1, "--seconds", 1, "--sizes", 1)
    assert "pip install librosa (extra 'bench'" in said
    assert numbers(r"([\d.]+) per clip, float32", said)


def test_ears(run: Run) -> None:
    names = ("mn04", "crnn of the paper")
    said = run("ears", "--clips", 1, "--seconds", 1, "--rounds", 1, "--only", *names)
    for name in names:
        (peak,) = numbers(rf"{name}.* (\d+)\n", said)
        assert 50 < peak < 5000
    assert "1.00x" in next(line for line in said.splitlines() if line.startswith("mn04"))


def test_eye(run: Run) -> None:
    network = ("--recogniser", SMALL_NETWORK, "--matrix", 64)
    said = run("eye", "--frames", 8, "--rounds", 1, *network)
    assert numbers(r"float32: (\d+) frames per CPU second", said)[0] > 0
    naive, ours = numbers(r"naive ([\d.]+) s", said)[0], numbers(r"ours ([\d.]+) s", said)[0]
    assert min(naive, ours) > 0
    assert numbers(r"whole eye, (\d+) frames", said) == [8]


def test_keyframes(run: Run) -> None:
    said = run("keyframes", "--sizes", 16, "--clips", 1, "--proofs", 2, "--rounds", 1, "--batch", 2)
    assert "cvxpy:highs, inf norm" in said
    assert numbers(r"gap over 2 clips: median ([\d.e+-]+)", said)[0] < 1e-6
    assert min(numbers(r"mean +(-?[\d.]+)%", said)) > -0.01, "no baseline beats the optimum"


def test_laboratory(run: Run) -> None:
    said = run("laboratory", "--clips", 300, "--batch", 20, "--rounds", 1)
    for pattern in (
        r"packing +(\d+) clips/s",
        r"balanced batch +([\d.]+) per",
        r"([\d.]+) steps/s",
    ):
        assert min(numbers(pattern, said)) > 0


def test_media(run: Run) -> None:
    said = run("media", "--hours", 0, "--repeats", 1, "--sizes", 360)
    assert "10 s of 360p" in said
    assert "as planes" in said
    assert "720p" not in said
    assert numbers(r"10 s of 180p, +both: windows (\d+)", said) == [1.0]
    assert min(numbers(r"peak_MiB ([\d.]+)", said)) > 20


def test_media_of_a_file(run: Run, tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", 0.5)
    said = run("media", "--repeats", 1, "--file", path)
    assert said.startswith("a.mp4\n")
    assert min(numbers(r"ratio ([\d.]+)", said)) > 0


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """Recordings of two animals by three publishers, as `bench.own` expects them."""
    rows = []
    for i, source in enumerate(["a", "b", "aequanima/Sono"]):
        for animal, hertz in (("cat", 500.0), ("dog", 3000.0)):
            samples = tone(1.0, 32_000, frequency=hertz * (1 + i / 50))
            make_audio(
                tmp_path / f"{animal}{i}.wav", 1.0, Audio("pcm", rate=32_000, samples=samples)
            )
            rows.append((f"{animal}{i}.wav", f"{animal}s", source))
    with (tmp_path / "dev.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "source_label", "source"), *rows])
    return tmp_path


def test_own(run: Run, sounds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    weights = sounds / "weights"
    weights.mkdir()
    torch.save(EfficientAT(0.1).state_dict(), weights / "mn01_as_mAP_298.pt")
    monkeypatch.setenv("AV_TAGGER_WEIGHTS", str(weights))
    monkeypatch.setenv("AV_TAGGER_CACHE", str(sounds / "cache"))
    ear = weights / "mn01_as_mAP_298.pt"
    short = ("length.epochs=1", "length.epoch_steps=2", "batch=4")
    said = run("own", sounds, "--ear", ear, "--classes", "cat", "dog", "--set", *short)
    assert "4 clips for training, 2 for testing, 2 classes (accuracy by chance: 0.500)" in said
    assert 0 <= numbers(r"accuracy ([\d.]+), mAP", said)[0] <= 1
    assert os.environ["AV_TAGGER_CACHE"] == str(sounds / "cache"), "as before"


def test_pictures(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a browser, which tests of the page itself use."""
    monkeypatch.setattr("av_tagger.bench.pictures.BROWSERS", ())
    video = make_video(tmp_path / "a.mp4", 1.0)
    said = run("pictures", tmp_path / "out", video)
    assert "page.png is left as it is: there is no Chromium on this machine" in said
    for name in ("annotated", "class_f1", "weights"):
        assert f"{name}.png" in said
        with Image.open(tmp_path / "out" / f"{name}.png") as picture:
            assert picture.mode == "P", "colours are reduced"


def test_pipeline(run: Run, tmp_path: Path) -> None:
    picture = tmp_path / "profile.png"
    small = ("--clips", 1, "--rounds", 1, "--seconds", 1, "--kinds", "mpeg4:96x64")
    network = ("--recogniser", SMALL_NETWORK, "--matrix", 64)
    said = run("pipeline", *small, *network, "--picture", picture)
    for name in ("naive", "runner", "decode only"):
        rate, real, wall, cpu = map(float, re.findall(rf"{name} +([\d. ]+)\n", said)[0].split())
        assert rate == pytest.approx(real, rel=0.1, abs=0.1), "clips of one second"
        assert wall * rate == pytest.approx(1, rel=0.5)
        assert cpu >= 0
    assert min(numbers(r"runner against naive: ([\d.]+) x", said)) > 0
    assert "features" in said
    assert picture.stat().st_size > 1000


def test_driver(run: Run) -> None:
    small = ("--clips", 1, "--repeat", 2, "--rounds", 1, "--seconds", 1, "--only", "ear")
    said = run("driver", *small, "--kinds", "mpeg4:96x64", "--json")
    assert min(numbers(r"driver: ([\d.]+) ms of CPU time per clip", said)) > 0
    assert min(numbers(r'"runner_over_decode": ([\d.]+)', said.splitlines()[-1])) > 0


def test_find(run: Run, tmp_path: Path) -> None:
    said = run("find", "--events", 400, "--rows", 600, "--rounds", 2, "--folder", tmp_path)
    assert said.startswith("400 events of 40 clips")
    assert len(numbers(r"([\d,]+) hits", said)) == 10
    assert min(numbers(r"like: 600 rows +([\d.]+) ms", said)) > 0
    assert numbers(r"like: ([\d.]+) of the 50 nearest", said)[0] > 0.9
    assert min(numbers(r"peak memory (\d+) MB", said)) > 20


def test_first(run: Run) -> None:
    said = run("first", "--rounds", 1, "--seconds", 1, "--only", "refused: unknown flag")
    assert numbers(r"import torch \| ([\d.]+) \|", said)[0] > 0
    assert numbers(r"unknown flag \| [\d.]+ \| ([\d.]+) \|", said)[0] > 0
    assert numbers(r"unknown flag .* \| (\d+) \|", said)[0] > 0
    assert "first tag" not in said


def test_first_of_a_long_film(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from av_tagger.bench import first

    real = first.long_commands(Path("film.mp4"), "auto", Path("runs"))
    assert [command[3] for command in real.values()] == ["batch", "tag"]
    quick = {name: [*command[:3], "--version"] for name, command in real.items()}
    monkeypatch.setattr(first, "long_commands", lambda *_: quick)
    said = run("first", "--rounds", 1, "--seconds", 10, "--long")
    assert numbers(r"\| batch \| [\d.]+ \| [\d.]+ \| ([\d.]+) \| [\d.]+ \|", said) == [1.0]
    assert numbers(r"\| tag \| ([\d.]+) \|", said)[0] > 0


def test_gpu(run: Run, tmp_path: Path) -> None:
    """Without a GPU on the CPU; a kind that cannot be made does not stop the others."""
    small = ("--device", "cpu", "--clips", 1, "--repeat", 2, "--rounds", 1, "--seconds", 1)
    kinds = ("--kinds", "h246:96x64,mpeg4:96x64", "--recogniser", SMALL_NETWORK)
    said = run("gpu", "-o", tmp_path, *small, *kinds, "--no-tests", "--no-keyframes")
    found = json.loads((tmp_path / "report.json").read_text())
    assert found["machine"]["card"] == "none"
    assert "no codec 'h246'" in found["kinds"]["h246:96x64"]["failed"]
    assert found["kinds"]["mpeg4:96x64"]["runner_over_decode"] > 0
    assert {"decode", "see"} <= set(found["kinds"]["mpeg4:96x64"]["stages"])
    assert (tmp_path / "profile.mpeg4-96x64.png").stat().st_size > 1000
    assert "runner against decode only" in said


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_gpu_says_that_there_is_none(run: Run, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="cuda"):
        run("gpu", "-o", tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_gpu_ends_in_time(run: Run, tmp_path: Path) -> None:
    """No step begins when its time is over, and the report says so."""
    run("gpu", "-o", tmp_path, "--device", "cpu", "--minutes", 0)
    found = json.loads((tmp_path / "report.json").read_text())
    steps = [found["tests"], found["keyframes"], *found["kinds"].values()]
    assert len(steps) == 8
    assert all("less than needed is left of 0 minutes" in step["skipped"] for step in steps)
    assert gpu.MINUTES <= 8


def test_savings(run: Run, tmp_path: Path) -> None:
    """Without weights of the eye, with thumbnails as features."""
    make_video(tmp_path / "a.mp4", 1.0, audio="aac")
    said = run("savings", tmp_path, "--network", "thumbnail", "--variants", "float32,--fast")
    rows = [line for line in said.splitlines() if line.startswith(("float32", "--fast"))]
    assert [row.split()[0] for row in rows] == ["float32", "--fast"]
    assert "1 of 1" in rows[0], "the reference agrees with itself"
    assert float(rows[0].split()[5]) < 1e-3, "and covers the film as well as can be"


def test_candidates(run: Run, tmp_path: Path) -> None:
    """The cheap features are those of the network: with half of the frames little is lost."""
    make_video(tmp_path / "a.mp4", 2.0, fps=12, audio=None)
    said = run("candidates", tmp_path, "--network", "thumbnail", "--cheap", "thumbnail")
    shares = numbers(r"([\d.]+)% of the frames", said)
    excess = numbers(r"excess ([\d.]+)%", said)
    assert shares == [12.5, 25.0, 50.0]
    assert 0 <= excess[2] <= excess[0]


def test_candidates_by_hand() -> None:
    """Frames on a line: the farthest from all before, first."""
    from av_tagger.bench.candidates import CandidateShare, candidates, compare

    place = np.array([0.0, 1.0, 10.0, 11.0, 50.0, 51.0, 90.0, 91.0])
    D = np.abs(place[:, None] - place)
    assert candidates(D, 3).tolist() == [0, 4, 7]
    found = {1.0: CandidateShare(), 0.5: CandidateShare()}
    compare(D, D, found)
    assert found[1.0].same == [True]
    assert found[1.0].excess == [0.0]
    assert found[0.5].excess[0] >= 0


def test_savings_without_films(run: Run, tmp_path: Path) -> None:
    from av_tagger.errors import UsageError

    make_video(tmp_path / "a.mp4", 0.1)
    with pytest.raises(UsageError, match="no film with at least 8 frames"):
        run("savings", tmp_path, "--network", "thumbnail", "--variants", "float32")


def test_captions_of_a_made_film(run: Run) -> None:
    said = run("captions", "--hours", 0.1, "--repeats", 1)
    assert numbers(r"(\d+) lines of dialogue", said) == [75]
    assert numbers(r"(\d+) placed", said)[0] > 0
    assert numbers(r"write: ([\d.]+) s", said)[0] >= 0


def test_scaling(run: Run) -> None:
    small = ("--clips", 2, "--seconds", 1, "--size", "96x64", "--rounds", 1)
    said = run("scaling", *small, "--free", "--no-ray")
    assert "processes x 1" in said
    assert "processes x 2" in said
    assert "2 clips of 1 s, 96x64 h264" in said
    assert numbers(r"speed-up ([\d.]+)", said)[0] > 0


def test_scaling_of_the_journal(run: Run) -> None:
    small = ("--records", 100, "--planned", 150, "--seconds", 1)
    said = run("scaling", "--journal", *small, "--no-ray")
    assert numbers(r"journal, +(\d+) records per transaction", said) == [1, 8, 64]
    assert min(numbers(r"(\d+) records/s", said)) > 10


def test_site(run: Run) -> None:
    said = run("site", "--results", 20)
    assert said.startswith("20 pages with curves")
    assert numbers(r"over 20 pages: ([\d.]+) MB", said)[0] > 0


def test_thresholds(run: Run) -> None:
    said = run("thresholds", "--sizes", "200x5", "--rounds", 2)
    start, greedy = numbers(r"class by class ([\d.]+)", said) + numbers(r"two-step ([\d.]+),", said)
    (best,) = numbers(r"exact ([\d.]+)\n", said)
    assert start <= greedy <= best <= 1
    assert "joint (21 weights" in said


def test_training(run: Run) -> None:
    said = run("training", "--batch", 1, "--rounds", 1, "--epochs", 1, "--clips", 8)
    assert min(numbers(r"([\d.]+) ms per clip", said)) > 0
    assert len(numbers(r"micro-F1 ([\d.]+)", said)) == 4


def test_whole(run: Run) -> None:
    said = run("whole", "--rounds", 1, "--lengths", 10)
    assert numbers(r"--help: ([\d.]+) s wall", said)[0] > 0
    (peak,) = numbers(r"10 s +[\d.]+ +[\d.]+ +(\d+)", said)
    assert peak > 50


def test_an_unknown_codec_is_one_sentence(run: Run) -> None:
    from av_tagger.errors import UsageError

    with pytest.raises(UsageError, match="no codec 'h246'; did you mean 'h264'"):
        run("pipeline", "--kinds", "h246:96x64")
    with pytest.raises(UsageError, match="'h264' has no size; write codec:WIDTHxHEIGHT"):
        run("pipeline", "--kinds", "h264")


def test_live(run: Run) -> None:
    said = run("live", "--minutes", 0.2, "--real", 0.5, "--hours", 0.2)
    assert numbers(r"processor time ([\d.]+) s", said)[0] > 0
    assert numbers(r"largest difference ([\d.e-]+) ", said)[0] <= 1e-5
    assert numbers(r"(\d+) gaps, \d+ events, 0 lost", said) == [20]
    assert numbers(r"drift ([\d.]+) s", said)[0] <= 0.1


@pytest.mark.slow
def test_live_starts(run: Run) -> None:
    said = run("live", "--minutes", 0, "--starts", 1)
    assert numbers(r"at most ([\d.]+) MB, with torch", said)[0] > 100
    assert numbers(r"([\d.]+) s to the first prediction", said)[0] > 0


def test_live_film(run: Run, tmp_path: Path) -> None:
    clip = make_video(tmp_path / "a.mp4", 12.0)
    said = run("live", "--minutes", 0, "--film", clip)
    assert "the same; scores differ" in said
    assert numbers(r"differ by at most ([\d.e-]+)", said)[0] <= 1e-5


def test_sandbox(run: Run, tmp_path: Path) -> None:
    clip = make_video(tmp_path / "a.mp4")
    said = run("sandbox", clip, "--rounds", 1)
    assert len(numbers(r"([\d.]+) ms of CPU per file", said)) == 2
    (ratio,) = numbers(r"with / without: ([\d.]+)", said)
    assert 0.1 < ratio < 10
    assert os.environ.get("AV_TAGGER_SANDBOX") is None
