"""av-tag cut: films of a run or of files, what is said of each cut, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import av
import pytest

from tests.assets import make_video
from tests.cli.conftest import AvTag
from tests.collection.made import result, write_run


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Three seconds with a key frame every half second."""
    return make_video(tmp_path / "a film.mp4", seconds=3.0)


@pytest.fixture
def run(film: Path, tmp_path: Path) -> Path:
    other = make_video(tmp_path / "other.mp4", seconds=1.0)
    results = [
        result(film, {"Police car (siren)": [(0.6, 1.2)], "Dog": [(2.0, 2.4)]}),
        result(other, {"Car": []}),
    ]
    return write_run(tmp_path / "run", results)


def length(path: Path) -> float:
    with av.open(str(path)) as film:
        return float(film.duration or 0) / av.time_base


def test_keep_says_where_each_cut_is(run: Path, tmp_path: Path, av_tag: AvTag) -> None:
    out = tmp_path / "out"
    done = av_tag("cut", run, "--keep", "any siren; dog", "--pad", 0.1, "-o", out)
    assert done.code == 0
    flat = " ".join(done.out.split())
    assert "0.50–1.30 s: copied" in flat
    assert "1.90–2.50 s: copied at key frames as 1.50–2.50 s" in flat
    assert "1 of 2 files: no event of these classes" in " ".join(done.err.split())
    assert [p.name for p in out.iterdir()] == ["a_film.keep.mp4"]
    assert length(out / "a_film.keep.mp4") == pytest.approx(1.8, abs=0.15)


def test_json_and_exact(run: Path, tmp_path: Path, av_tag: AvTag) -> None:
    words = ("--drop", "dog", "--exact", "--json", "-q", "-o", tmp_path / "out")
    done = av_tag("cut", run, *words)
    (line,) = done.lines
    found = json.loads(line)
    assert found["film"] == str(tmp_path / "out" / "a_film.drop.mp4")
    assert [part["asked"] for part in found["parts"]] == [[0.0, 2.0], [2.4, 3.0]]
    assert all(part["got"] == part["asked"] and not part["copied"] for part in found["parts"])
    assert length(Path(found["film"])) == pytest.approx(2.6, abs=0.1)


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--extract", "siren; dog"], ["a_film.dog.001.mp4", "a_film.police-car-siren.001.mp4"]),
        (["--split", "dog"], ["a_film.001.mp4", "a_film.002.mp4", "a_film.003.mp4"]),
        (["--reel", "1"], ["a_film.reel.mp4"]),
        (["--reel", "1", "--of", "dog", "--over", "0.95"], []),
    ],
)
def test_films_and_their_names(
    words: list[str], names: list[str], run: Path, film: Path, tmp_path: Path, av_tag: AvTag
) -> None:
    before = film.read_bytes()
    done = av_tag("cut", film, "--results", run, *words, "-o", tmp_path / "out")
    assert done.code == 0, done.err
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == names
    assert film.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "say what to cut with one of --keep, --drop"),
        (["--keep", "dog", "--drop", "dog"], "say what to cut with one of"),
        (["--keep", " ; "], "--keep needs classes"),
        (["--keep", "dog", "--of", "dog"], "--of names the classes of --reel"),
        (["--reel", "0"], "give its length in seconds"),
        (["--keep", "Dogg"], "there is no class 'Dogg'; did you mean 'Dog'?"),
        (["--keep", "dog", "https://host/a.mp4"], "download it first"),
    ],
)
def test_mistakes_are_one_sentence(
    words: list[str], reason: str, run: Path, av_tag: AvTag, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AV_TAGGER_WEIGHTS", str(run / "no weights"))
    done = av_tag("cut", run, *words)
    assert done.code == 2
    assert reason in done.err
    assert done.err.count("\n") == 1


def test_a_film_without_a_result(run: Path, tmp_path: Path, av_tag: AvTag) -> None:
    other = make_video(tmp_path / "new.mp4", seconds=1.0)
    done = av_tag("cut", other, "--results", run, "--keep", "dog")
    assert done.code == 2
    assert "has no result in" in done.err


def test_a_film_that_is_gone_costs_only_itself(
    run: Path, film: Path, tmp_path: Path, av_tag: AvTag
) -> None:
    gone = result(tmp_path / "gone.mp4", {"Dog": [(0, 1)]})
    kept = result(film, {"Dog": [(0.5, 1)]})
    done = av_tag("cut", write_run(run, [gone, kept]), "--keep", "dog", "-o", tmp_path / "out")
    assert done.code == 1
    assert "gone.mp4" in done.err
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["a_film.keep.mp4"]


def test_hostile_names_stay_in_the_folder(tmp_path: Path, av_tag: AvTag) -> None:
    names = ("..\\up.mp4", "con.mp4", "=1+1.mp4", "a\nb.mp4", "-rf.mp4")
    films = [make_video(tmp_path / name, seconds=1.0) for name in names]
    label = "../../outside"
    run = write_run(tmp_path / "run", [result(f, {label: [(0.1, 0.6)]}) for f in films])
    out = tmp_path / "out"
    done = av_tag("cut", run, "--extract", label, "-o", out, "-q")
    assert done.code == 0, done.err
    written = list(out.rglob("*"))
    assert len(written) == len(names)
    assert all(p.parent == out and p.suffix == ".mp4" for p in written)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*names, "run", "out"])
