"""Fuzzing: kinds, mutations, what counts as a finding, and a short slice of new mutants."""

from __future__ import annotations

import contextlib
import json
import random
import re
import subprocess
import sys
import tomllib
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from av_tagger.bench.fuzz import __main__ as command
from av_tagger.bench.fuzz import block, containers
from av_tagger.bench.fuzz.block import FuzzPlan, parent_of, run_block, run_one
from av_tagger.bench.fuzz.examine import examine, smaller
from av_tagger.bench.fuzz.kinds import KINDS, FileKind
from av_tagger.bench.fuzz.mutate import Structure, mutated, unstructured
from av_tagger.bench.fuzz.texts import mutated_header, mutated_text
from av_tagger.bench.fuzz.values import mutated_json, mutated_toml, toml
from av_tagger.errors import MediaError, UsageError
from av_tagger.media import close_decoders
from tests import ROOT

SLICE, SLOW_SECONDS = 200, 60  # mutants of the slice; with --slow a slice with a fresh seed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("fuzz")
    (found / "corpus").mkdir()
    return found


def reading(read: Callable[[Path], str]) -> FileKind:
    return FileKind("toy", ".toy", lambda _: b"seed", lambda data, draw: data + b"!", read)


@pytest.mark.parametrize("name", KINDS)
def test_the_made_file_of_every_kind_is_read(folder: Path, tmp_path: Path, name: str) -> None:
    kind = KINDS[name]
    path = tmp_path / f"whole{kind.suffix}"
    path.write_bytes(parent_of(folder, kind))
    if name in ("ensemble", "manifest"):
        kind.make(path)  # what lies beside it
    found = examine(kind, path)
    assert not found.bug, found.detail
    assert "Error" not in found.words
    close_decoders()


@pytest.mark.parametrize("name", KINDS)
def test_mutants_differ_and_are_the_same_again(folder: Path, name: str) -> None:
    kind = KINDS[name]
    parent = parent_of(folder, kind)
    first, again = ([kind.mutate(parent, random.Random(n)) for n in range(20)] for _ in range(2))
    assert first == again
    assert parent not in first
    assert len(set(first)) > 10


STRUCTURES = {
    "mp4": (containers.mp4, 20),
    "mov": (containers.mp4, 20),
    "mkv": (containers.ebml, 20),
    "webm": (containers.ebml, 20),
    "avi": (containers.riff, 1),
    "wav": (containers.riff, 2),
    "ogg": (containers.ogg, 2),
    "aac": (containers.adts, 5),
    "wheel": (containers.zipped, 5),
    "torch": (containers.zipped, 5),
    "journal": (containers.pages, 2),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_structure_of_a_made_file_is_found(folder: Path, name: str) -> None:
    parse, least = STRUCTURES[name]
    data = parent_of(folder, KINDS[name])
    layout = parse(data)
    assert len(layout.elements) >= least
    assert all(0 <= start < end <= len(data) for start, end in layout.elements)
    assert layout.numbers
    assert all(n.start >= 0 and n.start + n.length <= len(data) for n in layout.numbers)


@pytest.mark.parametrize("parse", [parse for parse, _ in STRUCTURES.values()])
def test_structures_of_noise(parse: Callable[[bytes], Structure]) -> None:
    draw = random.Random(1)
    for size in (0, 1, 7, 30, 5000):
        data = draw.randbytes(size)
        layout = parse(b"OggSRIFFPK\3\4"[: size % 13] + data)
        assert all(start < end for start, end in layout.elements)
        mutated(data, parse, draw)


def test_checksums_of_ogg_pages_are_made_right_again(folder: Path) -> None:
    whole = parent_of(folder, KINDS["ogg"])
    assert containers.with_ogg_checksums(whole) == whole
    damaged = whole.replace(b"OpusHead", b"OpusHeax", 1)
    repaired = containers.with_ogg_checksums(damaged)
    assert [a == b for a, b in zip(repaired, damaged, strict=True)].count(False) in range(1, 5)


def test_the_header_of_a_mutant_fits_its_length(folder: Path) -> None:
    whole = parent_of(folder, KINDS["ear"])
    for n in range(30):
        data = mutated_header(whole, random.Random(n), mutated_json)
        length = int.from_bytes(data[:8], "little")
        assert data[8 + length :] == whole[8 + int.from_bytes(whole[:8], "little") :]


def test_texts_of_any_bytes_can_be_mutated() -> None:
    for data in (b"", b"\xff\xfe", b"a = 1\n", b'{"a": [1, 2.5e3, "x"]}'):
        assert all(mutated_text(data, random.Random(n)) != data for n in range(50))


def test_most_mutants_of_tables_are_still_tables() -> None:
    table = {"a": 1, "b": {"c": [1.5, "x"], "d": True}, "e": [{"f": ""}]}
    assert tomllib.loads(toml(table)) == table
    forms = ((mutated_toml, tomllib.loads, toml), (mutated_json, json.loads, json.dumps))
    for mutate, load, dump in forms:
        whole, read = dump(table).encode(), 0
        for n in range(200):
            with contextlib.suppress(ValueError, RecursionError):
                read += load(mutate(whole, random.Random(n)).decode()) != table
        assert read > 100


def test_what_is_a_finding(tmp_path: Path) -> None:
    path = tmp_path / "a.toy"
    path.write_bytes(b"x")

    def fails(error: Exception) -> Callable[[Path], str]:
        def read(_: Path) -> str:
            raise error

        return read

    assert not examine(reading(lambda _: "fine"), path).bug
    assert not examine(reading(fails(MediaError(path, "is broken"))), path).bug
    for error in (
        ValueError("a bug"),
        UsageError(f"{path}: two\nlines"),
        UsageError(f"{path}: " + "long " * 1000),
        UsageError("names no file"),
        MemoryError(),
    ):
        assert examine(reading(fails(error)), path).bug
    unnamed = replace(reading(fails(UsageError("names no file"))), names_file=False)
    assert not examine(unnamed, path).bug


def test_what_takes_too_long_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(_: Path) -> str:
        while True:
            pass

    monkeypatch.setattr("av_tagger.bench.fuzz.examine.READ_SECONDS", 0.05)
    assert examine(reading(endless), tmp_path / "a.toy").words.startswith("TooSlow")


def test_findings_are_made_smaller(tmp_path: Path) -> None:
    def read(path: Path) -> str:
        if b"bad" in path.read_bytes():
            raise ValueError("a bug")
        return "fine"

    path, kind = tmp_path / "a.toy", reading(read)
    path.write_bytes(b"." * 500 + b"bad" + b"." * 500)
    found = smaller(kind, path, b"other", examine(kind, path))
    assert b"bad" in found
    assert len(found) < 100
    same_length = b"." * 1003
    found = smaller(kind, path, same_length, examine(kind, path))
    assert len(found) == len(same_length)
    assert sum(byte != ord(".") for byte in found) == 3


def test_findings_and_new_endings_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(path: Path) -> str:
        raise ValueError("a bug")

    monkeypatch.setitem(KINDS, "toy", reading(read))
    plan = FuzzPlan(7, ("toy",), tmp_path)
    (tmp_path / "corpus").mkdir()
    tally = run_block(plan, range(3), tmp_path / "at")
    assert tally.mutants == 3
    ((words, count),) = tally.endings.items()
    assert words.startswith("toy: ValueError")
    assert count == 3
    (place,) = (tmp_path / "findings").iterdir()
    about = json.loads((place / "about.json").read_text())
    assert about["again"] == "python -m av_tagger.bench.fuzz --seed 7 --only 0"
    assert "a bug" in about["detail"]
    assert (place / "mutant.toy").read_bytes() == b"seed!"


def test_a_process_that_dies_costs_one_mutant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process in which every third mutant ends the process."""
    script = (
        "import json, sys, pathlib; w = json.load(sys.stdin)\n"
        "for n in range(w['start'], w['end']):\n"
        "    pathlib.Path(w['at']).write_text(str(n))\n"
        "    if n % 3 == 2: sys.exit(9)\n"
        "print(json.dumps({'mutants': w['end'] - w['start'], 'endings': {'classes: fine': 1}}))\n"
    )
    real = subprocess.Popen
    monkeypatch.setattr(
        command.subprocess, "Popen", lambda words, **more: real([words[0], "-c", script], **more)
    )
    plan = FuzzPlan(1, ("classes",), tmp_path)
    tally = command.fuzz(plan, 8, 60.0, 1)
    assert tally.mutants == 8
    assert tally.endings["classes: the process ended with 9"] == 2
    assert len(list((tmp_path / "findings").iterdir())) == 1


def test_blocks_that_are_done_are_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "BLOCK", 4)
    started: list[int] = []

    def run(progress: command.FuzzProgress, numbers: range, at: Path) -> tuple[block.Tally, str]:
        started.append(numbers.start)
        return block.Tally(len(numbers)), "done"

    monkeypatch.setattr(command, "_run_process", run)
    plan = FuzzPlan(1, ("classes",), tmp_path)
    assert command.fuzz(plan, 8, 60.0, 1).mutants == 8
    assert command.fuzz(plan, 12, 60.0, 1).mutants == 12
    assert started == [0, 4, 8]


def test_the_command_names_kinds_and_needs_an_end(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no kind 'mp5'"):
        command.main(["--kinds", "mp5"])
    with pytest.raises(UsageError, match="--files N or --seconds T"):
        command.main(["--folder", str(tmp_path)])


def test_one_mutant_is_run_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--folder", str(tmp_path), "--kinds", "strong", "--seed", "3", "--only", "5"]
    with pytest.raises(SystemExit) as ended:
        command.main(words)
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("strong: ")
    with pytest.raises(SystemExit) as ended:
        command.main(["--replay", str(tmp_path / "corpus")])
    assert ended.value.code == 0


def test_mutants_of_known_findings_stay_mended(folder: Path) -> None:
    """Numbers of a fixed seed, a few of each kind."""
    plan = FuzzPlan(20261126, tuple(KINDS), folder)
    each = sum(kind.share for kind in KINDS.values())
    for number in range(2 * each):
        found = run_one(plan, number, folder)
        assert not found.bug, f"{plan.kind_of(number).name} {number}: {found.detail}"
    close_decoders()


def seed_of_the_sources() -> int:
    """Another one for every version of the package, and the same on every machine."""
    found = 0
    for path in sorted((ROOT / "av_tagger").rglob("*.py")):
        found = zlib.crc32(path.read_bytes(), found)
    return found


def test_a_slice_with_a_seed_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    """New mutants for every version, with --slow for every run; findings are printed with the
    command to repeat them.
    """
    words = [sys.executable, "-m", "av_tagger.bench.fuzz", "--folder", str(tmp_path)]
    words += ["--processes", "1"]
    if request.config.getoption("--slow"):
        words += ["--seconds", str(SLOW_SECONDS)]
    else:
        words += ["--files", str(SLICE), "--seed", str(seed_of_the_sources())]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    with capsys.disabled():
        print(f"\nfuzzing: {done.stdout.splitlines()[-1] if done.stdout else done.stderr}")
    details = [p.read_text() for p in (tmp_path / "findings").glob("*/about.json")]
    assert done.returncode == 0, "\n".join([done.stdout, done.stderr, *details])
    found = re.search(r"seed \d+: (\d+) mutants", done.stdout)
    assert found is not None
    assert int(found[1]) >= (1 if request.config.getoption("--slow") else SLICE)


def test_unstructured_files_have_no_structure() -> None:
    assert unstructured(b"abc") == Structure()
