"""av-tag listen: a file, a pipe, the windows of the file, and what goes wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import ROOT
from tests.assets import Audio, make_audio
from tests.cli.conftest import AvTag

QUIET = ("--ear", "starter", "--only", "ear", "--offline", "-q")


@pytest.fixture(scope="module")
def siren(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise, a siren from second 6 to 12, noise."""
    rate, rng = 44_100, np.random.default_rng(0)
    samples = rng.standard_normal(20 * rate) * 0.003
    t = np.arange(6 * rate) / rate
    pitch = 900 + 500 * np.sin(2 * np.pi * t / 4)
    wail = np.sin(2 * np.pi * np.cumsum(pitch) / rate)
    samples[6 * rate : 12 * rate] += 0.3 * np.sign(wail) * 0.5 + 0.3 * wail
    path = tmp_path_factory.mktemp("siren") / "siren.wav"
    make_audio(path, 20.0, Audio("pcm", rate, samples=samples[None].astype(np.float32)))
    return path


def documents(lines: list[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines]


def events(found: list[dict[str, Any]]) -> list[tuple[str, float, float]]:
    return [(d["label"], d["start"], d["end"]) for d in found if d["event"] == "close"]


def sure_enough(av_tag: AvTag, siren: Path) -> tuple[str, ...]:
    """A threshold that the made siren exceeds, whatever the shipped ear thinks of it."""
    (tagged,) = documents(av_tag(siren, "--json", *QUIET).lines)
    best = max(score["heard"] for score in tagged["scores"].values())
    return ("--threshold", f"{0.7 * best:.4f}", *QUIET)


def test_a_file_at_full_speed(av_tag: AvTag, siren: Path) -> None:
    flags = sure_enough(av_tag, siren)
    done = av_tag("listen", siren, "--pace", "fast", "--json", *flags)
    found = documents(done.lines)
    assert (done.code, done.err) == (0, "")
    assert found[-1]["event"] == "end"
    assert found[-1]["start"] == pytest.approx(20.0, abs=0.1)
    opened = [d for d in found if d["event"] == "open"]
    assert opened
    assert min(d["start"] for d in opened) == pytest.approx(6.0, abs=0.5)
    assert sorted(d["number"] for d in found if d["event"] == "close") == sorted(
        d["number"] for d in opened
    )


def test_the_windows_of_the_file_give_the_events_of_the_file(av_tag: AvTag, siren: Path) -> None:
    flags = sure_enough(av_tag, siren)
    done = av_tag("listen", siren, "--pace", "fast", "--windows", "file", "--json", *flags)
    live = sorted(events(documents(done.lines)))
    (tagged,) = documents(av_tag(siren, "--json", *flags).lines)
    offline = sorted(
        (tag["label"], e["start"], e["end"]) for tag in tagged["tags"] for e in tag["events"]
    )
    assert live == offline
    assert live


def test_journal_report_and_kept_clips(av_tag: AvTag, siren: Path, tmp_path: Path) -> None:
    flags = sure_enough(av_tag, siren)
    folders = ("--journal", tmp_path / "days", "--keep", tmp_path / "kept")
    done = av_tag("listen", siren, "--pace", "fast", "--json", *folders, *flags)
    found = documents(done.lines)
    labels = {d["label"] for d in found if d["event"] == "close"}
    kept = [d for d in found if d["event"] == "kept"]
    assert {d["label"] for d in kept} == labels
    assert {Path(d["text"]).suffix for d in kept} == {".wav"}
    assert found[-1]["event"] == "end"
    (day,) = (tmp_path / "days").glob("*.sqlite")
    done = av_tag("report", day, "-o", tmp_path / "report", "-q")
    assert (done.code, done.err) == (0, "")
    pages = "".join(p.read_text("utf-8") for p in (tmp_path / "report").rglob("*.html"))
    assert all(label.partition(",")[0] in pages for label in labels)


def test_it_says_what_is_kept(av_tag: AvTag, siren: Path, tmp_path: Path) -> None:
    flags = ("--ear", "starter", "--only", "ear", "--offline", "--pace", "fast")
    done = av_tag("listen", siren, *flags)
    assert "nothing is recorded" in done.err
    done = av_tag("listen", siren, "--keep", tmp_path / "kept", *flags)
    said = " ".join(done.err.split())
    assert f"around each event are kept as they came in {tmp_path / 'kept'}" in said


def test_plain_lines_fit_eighty_columns(av_tag: AvTag, siren: Path) -> None:
    flags = sure_enough(av_tag, siren)
    done = av_tag("listen", siren, "--pace", "fast", "--seconds", *flags)
    assert all(len(line) <= 80 for line in done.lines)
    assert "ended after" in done.out
    assert done.lines[-1].endswith("the source has ended")


def test_a_pipe_of_raw_pcm(siren: Path) -> None:
    """As in `arecord ... | av-tag listen - --rate 20000`; another process."""
    rate = 20_000
    t = np.arange(4 * rate) / rate
    samples = (np.sin(2 * np.pi * 440 * t) * 8000).astype("<i2")
    code = "from av_tagger.cli.main import main; main()"
    words = [sys.executable, "-c", code, "listen", "-", "--rate", str(rate), "--json", *QUIET]
    done = subprocess.run(
        words, input=samples.tobytes(), capture_output=True, cwd=ROOT, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    found = documents(done.stdout.decode().splitlines())
    assert (found[-1]["event"], found[-1]["start"]) == ("end", 4.0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("no.wav",), "no.wav: there is no such file; a microphone is mic:NAME"),
        (("gopher://x/y",), "gopher://x/y: cannot be listened to; known: rtsp"),
        (("x.wav", "--pace", "slow"), "pace is real or fast, not 'slow'"),
        (("-", "--format", "mp3"), "the format of raw PCM is one of s16le"),
    ],
)
def test_mistakes_are_one_sentence(av_tag: AvTag, words: tuple[str, ...], message: str) -> None:
    done = av_tag("listen", *words, *QUIET)
    assert done.code == 2
    assert done.err.startswith(f"av-tag: {message}")
    assert done.err.count("\n") == 1


def test_a_file_without_sound_for_the_ear(av_tag: AvTag, tmp_path: Path) -> None:
    text = tmp_path / "text.wav"
    text.write_text("no sound\n" * 100)
    done = av_tag("listen", text, "--pace", "fast", *QUIET)
    assert done.code == 2
    assert "is text, not media" in done.err
