"""The first hour of a new user: every command of the pages runs in a terminal of 80 columns."""

from __future__ import annotations

import csv
import os
import re
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from av_tagger import weights
from av_tagger.labels import dcase2017
from tests import ROOT
from tests.assets import make_audio, make_video
from tests.terminal import Shown, run

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
COLUMNS = 80
NOT_RUN = {  # commands of the pages that this test leaves out, and why
    r"^pip |^uv |^docker |^conda |^pipx ": "installs",
    r"^ruff |^python -m av_tagger\.studies": "development",
    r"weights fetch": "downloads",
    r"av-tag train (?!own-classes)|av-tag vote|--ear VOTE|--preset paper": "trains for minutes",
    r"av-tag evaluate RESULTS|submission\.csv": "needs the results of these",
    r"^[A-Z]+=": "sets a variable for these",
    r"av-tag listen(?! video)": "needs a microphone or a stream",
    r"--variants all": "runs for many minutes",
}
REFUSED = {  # commands that the few clips of this test are too few for, and what they answer
    r"--precision 0\.9|--recall 0\.8|--alarms-per-hour": "cannot be guaranteed",
    r"--write-fusion": "no class has a threshold that is better on held-out recordings",
}
if find_spec("onnx") is None:
    REFUSED[r"av-tag export"] = "pip install onnx"  # the extra that the page names
SERVERS = {  # commands that run until Ctrl-C, and what they print when they are ready
    r"av-tag review RUN$": "review at",
}


pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(
        weights.locate("crnn.starter") is None,
        reason="the starter weights are not in this checkout",
    ),
]


def commands() -> list[str]:
    """The commands of all pages in the order of reading, each once."""
    found: dict[str, None] = {}
    for page in (p for p in PAGES if not {"_build", "models", "auto_gallery"} & set(p.parts)):
        text = page.read_text(encoding="utf-8")
        for block in re.findall(r"```(?:console|bash)\n(.*?)```", text, re.DOTALL):
            found.update(dict.fromkeys(line.split(" #")[0].strip() for line in block.splitlines()))
        found.update(dict.fromkeys(re.findall(r"- run: (av-tag .*)", text)))  # of a workflow
    return [line for line in found if line]


def wanted() -> list[str]:
    return [c for c in commands() if not any(re.search(pattern, c) for pattern in NOT_RUN)]


@dataclass(frozen=True)
class Shell:
    """Runs commands in a folder with `av-tag` on its path; no network, a terminal."""

    folder: Path

    def __call__(self, command: str) -> Shown:
        environment = {
            **os.environ,
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "AV_TAGGER_OFFLINE": "1",
            "AV_TAGGER_WEIGHTS": str(self.folder / "weights"),
            "AV_TAGGER_CACHE": str(self.folder / "cache"),
        }
        work = self.folder / "work"
        return run(
            ["bash", "-c", command],
            columns=COLUMNS,
            folder=work,
            environment=environment,
            interrupt_at=next((SERVERS[p] for p in SERVERS if re.search(p, command)), None),
        )


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """The files that the pages speak of, and a YAMNet of random weights."""
    from av_tagger.audio.known.yamnet import YAMNet

    folder = tmp_path_factory.mktemp("hour")
    for name in ("bin", "weights", "work", "work/clips"):
        (folder / name).mkdir()
    torch.manual_seed(0)
    quiet = YAMNet()
    with torch.no_grad():
        quiet.logits.bias -= 8.0  # random weights would tag everything
    save_file(quiet.state_dict(), folder / "weights" / "yamnet.safetensors")
    script = folder / "bin" / "av-tag"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m av_tagger "$@"\n')
    script.chmod(0o755)
    work = folder / "work"
    make_video(work / "video.mp4", seconds=3.0)
    make_video(work / "film.mp4", seconds=9.0)
    (work / "talk.en.srt").write_text("1\n00:00:00,100 --> 00:00:01,000\nHello.\n")
    rows = []
    for number in range(12):
        name = f"clips/{number}.wav"
        make_audio(work / name, seconds=1.0 + 0.1 * number)
        rows.append((name, ("low", "high")[number % 2]))
    with (work / "clips.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "labels"), *rows])
    labels = dcase2017().labels
    truth = [f"{n}.wav\t0.000\t1.000\t{labels[n % 17]}" for n in range(12)]
    (work / "groundtruth.csv").write_text("\n".join(truth) + "\n")
    (work / "labels.csv").write_text((work / "groundtruth.csv").read_text())
    for name in ("NEW", "OLD"):
        (work / name).symlink_to("RUN")
    return Shell(folder)


def too_wide(lines: list[str]) -> list[str]:
    """Lines wider than the terminal; a path or an address alone cannot be broken, nor JSON."""
    long = (line for line in lines if len(line) > COLUMNS and not line.startswith("{"))
    return [line for line in long if len(line.split()) > 1]


def shown_in(page: str, start: str) -> list[str]:
    """The lines of a page's block that starts with these words."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    (found,) = (block for block in blocks if block.startswith(start))
    return [line for line in str(found).splitlines() if line]


def skeleton(line: str) -> str:
    """What does not depend on the film: numbers are 0, and space between columns is one space."""
    line = re.sub(r"─+", "─", re.sub(r"\S+\.mp4", "FILE", line))
    return " ".join(re.sub(r"\d+(?:[.:]\d+)*", "0", line).split())


def test_the_pages_have_commands() -> None:
    assert len(commands()) > 30
    assert len(wanted()) > 15
    assert all(any(re.search(p, c) for c in commands()) for p in NOT_RUN if "ruff" not in p)


def test_every_command_of_the_pages_works(shell: Shell) -> None:
    problems = []
    for command in wanted():
        began = time.perf_counter()
        done = shell(command)
        said = done.text
        print(f"$ {command}    # {time.perf_counter() - began:.1f} s\n{said}")
        refusal = next((REFUSED[p] for p in REFUSED if re.search(p, command)), None)
        wrong = done.code != 0 if refusal is None else refusal not in " ".join(said.split())
        if wrong or "Traceback" in said:
            problems.append(f"{command}: exit {done.code}\n{said[-2000:]}")
        problems += [f"{command}: wider than {COLUMNS}: {line}" for line in too_wide(done.lines)]
    assert not problems, "\n\n".join(problems)


SHOWN = [  # page, first words of a block, the command that prints such a block, lines to compare
    (
        "docs/tasks/cut.md",
        "wrote",
        "av-tag cut film.mp4 --keep 'Train' --threshold 0",
        r"^wrote",
    ),
    (
        "docs/tasks/find.md",
        "score",
        "av-tag batch clips/ -q -o SHOWN --threshold 0 && av-tag find SHOWN 'any vehicle' -n 2",
        r"^score|─|^files in|found",
    ),
]


@pytest.mark.parametrize(("page", "start", "command", "lines"), SHOWN, ids=[s[0] for s in SHOWN])
def test_pages_show_what_commands_print(
    shell: Shell, page: str, start: str, command: str, lines: str
) -> None:
    """Lines of a page are those of the command but for numbers, names of files and labels."""
    done = shell(command)
    printed = {skeleton(line) for line in done.lines}
    expected = [line for line in shown_in(page, start) if re.search(lines, line)]
    assert expected
    missing = [line for line in expected if skeleton(line) not in printed]
    assert not missing, done.text


@pytest.mark.index
def test_the_demo_prints_what_the_readme_shows(tmp_path: Path) -> None:
    """With the ears of a first run, which are downloaded."""
    shown = re.search(r"```text\n(av-tag-demo.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert shown is not None
    command = [sys.executable, "-m", "av_tagger", "demo"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = run(command, columns=COLUMNS, folder=tmp_path, environment=environment)
    assert done.code == 0, done.text
    assert shown[1] in done.text, done.text
