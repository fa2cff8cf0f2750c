"""av-tag tag: tables and JSON, bad files, settings, outputs, exit codes."""

from __future__ import annotations

import io
import json
from importlib.resources import files
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import torch

from av_tagger.audio.checkpoint import Header, save_checkpoint
from av_tagger.audio.network import EarArchitecture, build_network
from av_tagger.labels import dcase2017
from tests.assets import make_audio, make_video
from tests.cli.conftest import AvTag, Done


@pytest.fixture(scope="module")
def ear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ear with seeded random weights: its tags are meaningless, but always the same."""
    torch.manual_seed(0)
    settings = {"channels": (4, 4, 4, 4), "units": 4}
    architecture = EarArchitecture(17, extractor_settings=settings, margin=5)
    path = tmp_path_factory.mktemp("ear") / "tiny.safetensors"
    header = Header("tiny", architecture, dcase2017().labels)
    save_checkpoint(path, build_network(architecture), header)
    return path


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(make_video(tmp_path_factory.mktemp("media") / "clip.mp4", seconds=2.0))


@pytest.fixture
def tag(ear: Path, av_tag: AvTag) -> AvTag:
    """Runs `av-tag WORDS` with the tiny ear."""

    def run(*words: object) -> Done:
        return av_tag(*words, "--ear", ear, "--offline")

    return run


def test_a_file_is_tagged_without_naming_the_command(video: Path, tag: AvTag) -> None:
    done = tag(video, "--threshold", "0")
    assert done.code == 0
    assert "clip.mp4" in done.out.replace("\n", "")
    assert "ear: tiny · eye: " in done.err
    assert "tiny" in done.err


def test_the_table_fits_80_columns(video: Path, tag: AvTag, tmp_path: Path) -> None:
    short = tmp_path / "a.mp4"
    short.write_bytes(video.read_bytes())
    done = tag(short, "--threshold", "0")
    assert max(map(len, done.lines[1:])) <= 80
    for word in ("tag", "probability", "heard", "seen", "when", "Train horn"):
        assert word in done.out


def test_top_shows_the_most_probable_classes(video: Path, tag: AvTag) -> None:
    done = tag(video, "--threshold", "1", "--top", "3")
    rows = [line for line in done.lines if "–" in line and "0." in line]
    assert len(rows) == 3
    assert "threshold" in done.out
    assert not any("✓" in row for row in rows)
    shown = [
        float(row.split(".", 1)[0][-1:] + "." + row.split(".", 1)[1].split()[0]) for row in rows
    ]
    assert shown == sorted(shown, reverse=True)


def test_quiet_prints_results_and_errors_only(video: Path, tag: AvTag) -> None:
    done = tag(video, "none.mp4", "--quiet", "--threshold", "0")
    assert done.code == 1
    assert "probability" in done.out
    assert done.err.count("\n") == 1
    assert "none.mp4: no such file" in done.err.replace("there is no such file", "no such file")


def test_json_lines_alone_are_on_stdout(video: Path, tag: AvTag) -> None:
    done = tag(video, "none.mp4", "--json", "--threshold", "0")
    lines = [json.loads(line) for line in done.lines]
    schema = json.loads((files("av_tagger") / "resources" / "schema1.json").read_text())
    for line in lines:
        jsonschema.validate(line, schema)
    assert done.code == 1
    assert [Path(line["file"]).name for line in lines] == ["clip.mp4", "none.mp4"]
    assert len(lines[0]["tags"]) == 17
    assert lines[1]["error"]["message"].startswith("none.mp4: ")


def test_a_result_does_not_depend_on_other_files(video: Path, tag: AvTag, tmp_path: Path) -> None:
    other = Path(make_audio(tmp_path / "other.wav", seconds=1.0))
    expected = json.loads(tag(video, "--json").out)
    both = tag(other, video, "--json")
    found = next(line for line in map(json.loads, both.lines) if line["file"] == str(video))
    for label, score in expected["scores"].items():
        assert found["scores"][label]["fused"] == pytest.approx(score["fused"], abs=1e-5)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("empty.mp4", b"", "is empty (0 bytes)"),
        ("text.mp4", b"hello, I am a text\n" * 50, "is text, not media"),
        ("cdg.mp4", b"I am a text, not a film\n" * 30, "is text, not media"),  # FFmpeg: CD graphics
        ("noise.mp4", np.random.default_rng(0).bytes(5000), "is not media that can be read"),
    ],
)
def test_a_bad_file_fails_alone(
    name: str, content: bytes, sentence: str, video: Path, tag: AvTag, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    done = tag(tmp_path / name, video, "--json")
    assert (done.code, len(done.lines)) == (1, 2)
    assert name in done.err
    assert sentence in done.err


def test_a_missing_track_is_no_failure(tag: AvTag, tmp_path: Path) -> None:
    silent = make_video(tmp_path / "silent.mp4", seconds=1.0, audio=None)
    sound = make_audio(tmp_path / "sound.wav", seconds=1.0)
    done = tag(silent, sound, "--json")
    no_sound, no_picture = (json.loads(line) for line in done.lines)
    assert done.code == 0
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
def test_wrong_flags_are_one_sentence(
    words: list[str], sentence: str, video: Path, tag: AvTag
) -> None:
    done = tag(video, *words)
    assert (done.code, done.out) == (2, "")
    assert sentence in done.err
    assert done.err.count("\n") == 1


def test_annotate_takes_one_file(video: Path, tag: AvTag, tmp_path: Path) -> None:
    """Also where one word names several files."""
    for name in "abc":
        (tmp_path / f"{name}.mp4").hardlink_to(video)
    for words in ([video, tmp_path / "a.mp4"], [tmp_path], [tmp_path / "*.mp4"]):
        done = tag(*words, "--annotate", tmp_path / "out" / "copy.mp4")
        assert (done.code, done.out) == (2, "")
        assert "names one film, but there are" in done.err
    assert not (tmp_path / "out").exists()


def test_files_that_are_not_there_load_nothing(
    tag: AvTag, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from av_tagger.cli import session

    monkeypatch.setattr(session, "plan_of", None)
    done = tag("none.mp4", tmp_path / "nowhere.wav", "--json")
    assert done.code == 1
    assert done.err.count("there is no such file") == 2
    assert [json.loads(line)["error"]["kind"] for line in done.lines] == ["media", "media"]


def test_partial_lines_come_before_the_result(tag: AvTag, tmp_path: Path) -> None:
    from av_tagger.reports.schema import read_outcomes

    sound = make_audio(tmp_path / "long.wav", seconds=25.0)
    done = tag(sound, "--json", "--partial", "--threshold", "0")
    *parts, result = map(json.loads, done.lines)
    assert [part["partial"]["start"] for part in parts] == [0.0, 9.0, 18.0]
    assert len(parts[0]["partial"]["tags"]) == 17
    assert "tags" not in parts[0]
    assert len(result["tags"]) == 17
    (tmp_path / "results.jsonl").write_text(done.out)
    assert len(list(read_outcomes(tmp_path / "results.jsonl"))) == 1
    assert tag(sound, "--partial").err == "av-tag: --partial needs --json\n"


def test_standard_input_is_tagged(video: Path, tag: AvTag, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = json.loads(tag(video, "--json").out)
    with video.open("rb") as file:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(file))
        found = json.loads(tag("-", "--json").out)
    assert found["file"] == "-"
    assert found["scores"] == expected["scores"]


def test_by_shot_replaces_events_by_shots(video: Path, tag: AvTag) -> None:
    done = tag(video, "--by", "shot", "--threshold", "0", "--json")
    result = json.loads(done.out)
    assert result["shots"][0]["start"] == 0.0
    assert result["shots"][-1]["end"] == pytest.approx(result["duration"])
    spans = {(shot["start"], shot["end"]) for shot in result["shots"]}
    events = {(e["start"], e["end"]) for tag in result["tags"] for e in tag["events"]}
    assert events
    assert events <= spans
    assert "shot" in tag(video, "--by", "shot", "--threshold", "0").out


def test_a_word_that_only_the_eye_may_know(video: Path, tag: AvTag) -> None:
    done = tag(video, "--classes", "Tractor;Train", "--json")
    assert done.code == 0
    assert "no ear here knows Tractor: the eye alone decides" in done.err
    assert list(json.loads(done.out)["scores"]) == ["Tractor", "Train"]


def test_a_class_that_nothing_knows_is_an_error(video: Path, tag: AvTag) -> None:
    done = tag(video, "--classes", "Drone", "--only", "ear")
    assert (done.code, done.out) == (2, "")
    assert "no class can be scored (Drone): " in done.err


def test_settings_come_from_a_file_and_flags_override_it(
    video: Path, tag: AvTag, tmp_path: Path
) -> None:
    path = tmp_path / "av-tag.toml"
    path.write_text('only = "ear"\nthreshold = 0.0\n[events]\nhigh = 0.9\n')
    from_file = json.loads(tag(video, "--json", "--config", path).out)
    assert from_file["eye"]["status"] == "off"
    assert len(from_file["tags"]) == 17
    overridden = json.loads(tag(video, "--json", "--config", path, "--threshold", "1").out)
    assert overridden["tags"] == []


def test_an_unknown_setting_is_named(video: Path, tag: AvTag, tmp_path: Path) -> None:
    path = tmp_path / "av-tag.toml"
    path.write_text("[event]\nhigh = 0.9\n")
    done = tag(video, "--config", path)
    assert done.code == 2
    assert f"{path}: there is no setting 'event'; did you mean 'events'?" in done.err


def test_a_class_list_with_duplicates_is_rejected(video: Path, tag: AvTag, tmp_path: Path) -> None:
    path = tmp_path / "classes.txt"
    path.write_text("Train\nTrain\n")
    done = tag(video, "--classes", path)
    assert done.code == 2
    assert "class 'Train' is in the list more than once" in done.err
    assert str(path) in done.err


def test_classes_that_the_ear_does_not_know(video: Path, tag: AvTag) -> None:
    scores = json.loads(tag(video, "--classes", "Train;Dog", "--json").out)["scores"]
    assert list(scores) == ["Train", "Dog"]
    assert scores["Dog"]["heard"] is None
    assert scores["Train"]["heard"] is not None


def test_a_folder_without_media_fails(tag: AvTag, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing to hear")
    done = tag(tmp_path)
    assert done.code == 1
    assert str(tmp_path) in done.err
    assert "no media" in done.err


def test_formats_page_and_annotated_video_are_written(
    video: Path, tag: AvTag, tmp_path: Path
) -> None:
    page, copy = tmp_path / "page.html", tmp_path / "copy.mp4"
    outputs = ["-o", tmp_path / "out", "--format", "json,csv", "--report", page]
    done = tag(video, *outputs, "--annotate", copy, "--threshold", "0")
    assert done.code == 0
    assert "clip.mp4" in page.read_text()
    assert copy.stat().st_size > 1000
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["results.events.csv", "results.jsonl", "results.tags.csv"]
    for name in written:
        assert f"wrote {tmp_path / 'out' / name}" in done.err


def test_a_report_of_several_files_is_a_folder(video: Path, tag: AvTag, tmp_path: Path) -> None:
    other = make_video(tmp_path / "other.mp4", seconds=1.0)
    assert tag(video, other, "--report", tmp_path / "report").code == 0
    assert (tmp_path / "report" / "index.html").is_file()
    assert len(list((tmp_path / "report" / "pages").iterdir())) == 2


def test_only_the_eye_without_objects_has_no_scores(video: Path, tag: AvTag) -> None:
    result = json.loads(tag(video, "--only", "eye", "--json").out)
    assert result["ear"]["status"] == "off"
    assert {score["heard"] for score in result["scores"].values()} == {None}
