"""av-tag find and av-tag index: what is printed and written, what is said, and how they end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from av_tagger.audio.known.efficientat import EfficientAT
from av_tagger.cli.main import main
from av_tagger.live.lines import LineKind, LiveLine
from av_tagger.live.outputs.files import DailyJournal
from tests.assets import Audio, make_audio, tone
from tests.cli.conftest import AvTag
from tests.collection.made import result, write_run
from tests.collection.test_live import HEAD


@pytest.fixture
def run(tmp_path: Path) -> Path:
    results = [
        result("films/long name of a film.mp4", {"Police car (siren)": [(1, 4), (9, 12)]}, 0.9),
        result("films/b.mp4", {"Police car (siren)": [(2, 3)], "Dog": [(4, 5)]}, 0.5),
        result("films/c.mp4", {"Dog": [(4, 5)]}, 0.7),
    ]
    return write_run(tmp_path / "run", results)


def test_a_table_of_hits_in_80_columns(run: Path, av_tag: AvTag) -> None:
    done = av_tag("find", run, "siren AND NOT dog")
    assert done.code == 0
    assert max(map(len, done.lines)) <= 80
    flat = " ".join(done.out.split())
    assert "0.90 long name of a film.mp4 Police car (siren) 1.0–4.0 s, 9.0–12.0" in flat
    assert "1 found" in flat
    said = " ".join(done.err.split())
    assert "indexed 3 new results of" in said
    assert "siren: Police car (siren) (no file has the tag Siren, these are kinds of it)" in said
    again = av_tag("find", run, "siren OR dog", "-n", 2)
    assert "indexed" not in again.err
    assert "3 found, the best 2 shown (-n N)" in again.out


def test_json_is_an_object_per_hit_and_nothing_else(run: Path, av_tag: AvTag) -> None:
    done = av_tag("find", run, "any siren", "--json", "-q")
    found = [json.loads(line) for line in done.lines]
    assert [one["score"] for one in found] == [0.9, 0.5]
    assert [e["start"] for e in found[0]["events"]] == [1.0, 9.0]
    assert done.err == ""


def test_nothing_is_found(run: Path, av_tag: AvTag) -> None:
    done = av_tag("find", run, "accordion")
    assert (done.code, done.out.strip()) == (0, "nothing was found")
    assert "no file has the tag Accordion" in done.err
    assert av_tag("find", run, "accordion", "--json").out == ""


def test_files_are_written(run: Path, tmp_path: Path, av_tag: AvTag) -> None:
    names = {"--html": "a.html", "--csv": "a.csv", "--playlist": "a.m3u"}
    words = [word for flag, name in names.items() for word in (flag, tmp_path / name)]
    done = av_tag("find", run, "dog", *words)
    assert done.code == 0
    for name in names.values():
        assert (tmp_path / name).stat().st_size > 50
        assert f"wrote {tmp_path / name}" in done.err
    assert "<h1>dog</h1>" in (tmp_path / "a.html").read_text()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["RUN"], "add a query, such as av-tag find"),
        (["any siren"], 'name a run first, such as av-tag find RUN "any siren"'),
        (["RUN", "RUN"], "the last word is a query, but"),
        (["nowhere", "dog"], "nowhere: no such file or folder"),
        (["RUN", "dog AND"], "the query, character 8 (the end): expected the name of a class"),
        (["RUN", "dig"], "there is no class 'dig'"),
        (["RUN", "--like", "RUN"], "has no embeddings for --like; make them: av-tag embed"),
    ],
)
def test_mistakes_are_one_sentence(
    words: list[str], reason: str, run: Path, av_tag: AvTag, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AV_TAGGER_WEIGHTS", str(run / "no weights"))
    done = av_tag("find", "-q", *(run if word == "RUN" else word for word in words))
    assert done.code == 2
    assert done.out == ""
    assert reason in done.err
    assert done.err.count("\n") == 1


def test_a_device_is_not_replaced_by_a_file(run: Path, av_tag: AvTag) -> None:
    done = av_tag("find", run, "dog", "--csv", "/dev/null", "-q")
    assert done.code == 2
    assert "/dev/null: is a device or a pipe" in done.err
    assert Path("/dev/null").is_char_device()


def test_index_says_what_it_made(run: Path, av_tag: AvTag) -> None:
    done = av_tag("index", run)
    assert (done.code, done.out) == (0, "")
    assert f"{run / 'results.jsonl.index'}: 3 clips, 5 events" in done.err.replace("\n", "")


def test_like_finds_the_same_sound(
    tmp_path: Path, av_tag: AvTag, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an ear of random weights: other seconds of the same tone are nearest."""
    torch.manual_seed(0)
    ear = tmp_path / "tiny.pt"
    torch.save(EfficientAT(0.1).state_dict(), ear)
    files = []
    for number, hertz in enumerate((300, 900, 2700)):
        samples = tone(3.0, 32_000, frequency=hertz)
        samples += np.random.default_rng(number).normal(0, 0.01, samples.shape)
        sound = Audio("pcm", rate=32_000, samples=samples.astype(np.float32))
        files.append(make_audio(tmp_path / f"{number}.wav", 3.0, sound))
    run = write_run(tmp_path / "run", [result(path, {"Dog": []}) for path in files])
    rows = run / "embeddings.npz"
    with pytest.raises(SystemExit) as ended:
        main(["embed", *map(str, files), "-o", str(rows), "--ear", str(ear), "--device", "cpu"])
    assert not ended.value.code
    assert "9 seconds for --like" in av_tag("index", run).err.replace("\n", " ")
    done = av_tag("find", run, "--like", files[1], "--json", "--device", "cpu", "-q")
    assert done.code == 0, done.err
    found = [json.loads(line) for line in done.lines]
    assert found[0]["file"] == str(files[1])
    assert found[0]["score"] > max(0.9, found[1]["score"])
    assert found[0]["tags"] == [{"label": "Dog", "probability": 0.8}]
    limited = av_tag(
        "find", run, "PATH 2.wav", "--like", files[1], "--json", "--device", "cpu", "-q"
    )
    assert [json.loads(line)["file"] for line in limited.lines] == [str(files[2])]


def test_runs_and_live_journals_together(run: Path, tmp_path: Path, av_tag: AvTag) -> None:
    journal = DailyJournal(tmp_path / "live", HEAD, lambda: "2026-03-01")
    for number, label in enumerate(("Dog", "Ambulance (siren)", "Dog")):
        start = 100.0 * number
        journal.take(
            LiveLine(
                LineKind.CLOSE, start, start + 2, label, 0.6, number=number, wall=1.8e9 + start
            )
        )
    done = av_tag("find", run, tmp_path / "live", "any siren", "--json", "-q")
    found = [json.loads(line) for line in done.lines]
    assert [one["score"] for one in found] == [0.9, 0.6, 0.5]
    assert found[1]["file"] == str(journal.path)
    assert found[1]["clip"] == {"start": 100.0, "end": 102.0}
    assert found[1]["date"].startswith("2027-01-1")
    journal.take(LiveLine(LineKind.CLOSE, 900.0, 901.0, "Dog", 0.6, number=9))
    journal.close()
    done = av_tag("find", run, tmp_path / "live", "dog", "-n", 99)
    assert "5 found" in done.out
    assert "2026-03-01.sqlite" in done.err.replace("\n", "")
    assert "indexed 1 new event of" in " ".join(done.err.split())
    assert "1 scene" not in av_tag("index", tmp_path / "live", "-q").err


def test_a_query_of_free_words_says_why(
    run: Path, tmp_path: Path, av_tag: AvTag, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    rows = {"police": [1, 0], "car": [0.9, 0.1], "patrol": [1, 0.1], "dog": [0, 1]}
    lines = (f"{word} {' '.join(map(str, row))}\n" for word, row in rows.items())
    (weights / "glove.6B.300d.txt").write_text("".join(lines))
    monkeypatch.setenv("AV_TAGGER_WEIGHTS", str(weights))
    done = av_tag("find", run, "patrol", "--json")
    assert done.code == 0, done.err
    assert [json.loads(line)["score"] for line in done.lines] == [0.9, 0.5]
    said = " ".join(done.err.split())
    assert "patrol: near by word vectors to Police car (siren) (" in said


def test_a_page_of_many_hits_is_asked_for(run: Path, tmp_path: Path, av_tag: AvTag) -> None:
    results = [result(f"films/{n}.mp4", {"Dog": [(1, 2)]}, n / 100) for n in range(60)]
    many = write_run(tmp_path / "many", results)
    done = av_tag("find", many, "dog", "--html", tmp_path / "a.html", "-n", 50, "-q")
    assert done.code == 0
    page = (tmp_path / "a.html").read_text()
    assert page.count("<video") == 50
    assert "60 found, the best 50 here" in page
    assert "films/59.mp4" in page
    assert "films/9.mp4" not in page
