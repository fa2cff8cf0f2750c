"""Commands that are measured: their own time and memory, and errors that end the benchmark."""

from __future__ import annotations

from pathlib import Path

import pytest

from av_tagger.bench import whole


def test_the_cost_is_that_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that holds 100 MB costs more than one that holds nothing."""
    costs = []
    for size in (0, 100 << 20):
        code = f"x = bytearray({size}); x[::4096] = b'x' * len(x[::4096])"
        monkeypatch.setattr(whole, "COMMAND", code)
        costs.append(whole.run(()))
    small, large = costs
    assert large.peak_mebibytes - small.peak_mebibytes == pytest.approx(100, abs=15)
    assert all(c.wall_seconds > 0 and c.cpu_seconds > 0 for c in costs)


def test_a_command_that_fails_ends_the_benchmark(tmp_path: Path) -> None:
    said = r"av-tag tag .*a\.mp4 --no-such-flag ended with exit code 2"
    with pytest.raises(SystemExit, match=said):
        whole.run(("tag", str(tmp_path / "a.mp4"), "--no-such-flag"))


def test_memory_is_printed_against_that_of_a_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    peaks = iter([100.0, 200.0, 300.0])
    monkeypatch.setattr(whole, "run", lambda words: whole.CommandCost(1.0, 2.0, next(peaks)))
    monkeypatch.setattr(whole, "make_long", lambda path, seconds, size: None)
    whole.files((10, 60, 3600))
    rows = capsys.readouterr().out.splitlines()[1:]
    assert [row.split("  ")[-1] for row in rows[1:]] == ["1.00 x a minute's", "1.50 x a minute's"]
    assert "minute's" not in rows[0]
