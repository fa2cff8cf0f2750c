"""av-tag review: kill -9 at any time loses no answer, missing media, summary, fusion file."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from av_tagger.review.answers import AnswerLog, ReviewAnswer
from tests import ROOT
from tests.cli.conftest import AvTag
from tests.review.conftest import session_of, tagged, write_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    results = [
        tagged(tmp_path / f"c{i}.wav", {"Bus": 0.02 + 0.016 * i}, threshold=0.2) for i in range(60)
    ]
    return write_run(tmp_path / "run", results)


# SIGINT is ignored in background jobs, which is inherited.
COMMAND = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from av_tagger.cli.main import main
main()
"""


def start(run: Path) -> tuple[subprocess.Popen[str], str]:
    """The process and the address it printed."""
    words = [sys.executable, "-c", COMMAND, "review", str(run), "--no-open"]
    process = subprocess.Popen(
        words,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+/[\w-]+/", line)
    assert found, line
    return process, found[0]


def ask(address: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        address + path, data, {"Content-Type": "application/json"} if data else {}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def test_answers_survive_kill_9_and_the_review_goes_on(run: Path) -> None:
    process, address = start(run)
    questions = ask(address, "questions")["questions"]
    for question in questions[:3]:
        ask(address, "answer", {"key": question["key"], "part": 0, "answer": "yes"})
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = AnswerLog.read(run / "review").answers.values()
    assert [a.key for a in kept] == [q["key"] for q in questions[:3]]
    assert len((run / "review" / "labels.csv").read_text().splitlines()) == 4
    process, address = start(run)
    again = ask(address, "questions")
    assert again["progress"]["answers"] == 3
    assert not {q["key"] for q in again["questions"]} & {a.key for a in kept}
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 0


def answer_all(run: Path) -> None:
    """Buses are in clips with a score above one half."""
    session = session_of(run)
    for unit in session.found.units:
        sample = "random" if int(Path(unit.file).stem[1:]) % 5 == 0 else "uncertain"
        answer = "yes" if unit.score > 0.5 else "no"
        session.log.add(ReviewAnswer(unit.key, 0, answer, sample=sample))
    session.log.close()


def test_the_summary_shows_held_out_figures(run: Path, av_tag: AvTag) -> None:
    assert av_tag("review", run, "--summary").out == "0 answers; none says yes or no yet\n"
    answer_all(run)
    done = av_tag("review", run, "--summary")
    assert done.code == 0
    assert max(map(len, done.lines)) <= 80
    row = next(line.split() for line in done.lines if "Bus" in line)
    assert row[-1] == "change"
    assert float(row[6]) > float(row[5]), "held-out F1 over that of now"


def test_a_fusion_file_is_written_on_request(run: Path, av_tag: AvTag, tmp_path: Path) -> None:
    answer_all(run)
    target = tmp_path / "new.json"
    done = av_tag("review", run, "--write-fusion", target, "--fusion", "even")
    assert (done.code, done.out) == (0, f"wrote {target}: Bus\n")
    assert 0.48 < json.loads(target.read_text())["classes"][0]["ear"] < 0.55


def test_missing_media_are_one_sentence(run: Path, av_tag: AvTag) -> None:
    for path in run.parent.glob("c*.wav"):
        path.unlink()
    done = av_tag("review", run, "--no-open")
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "files are not where the results say (" in done.err
    assert "--media" in done.err


def test_nothing_to_ask_is_one_sentence(tmp_path: Path, av_tag: AvTag) -> None:
    run = write_run(tmp_path / "run", [tagged(tmp_path / "a.wav", {"Bus": 1e-5})])
    done = av_tag("review", run, "--no-open")
    assert done.code == 2
    assert "no class with a score near its threshold" in done.err
    assert av_tag("review", run, "--random", "101").code == 2
