"""The doctor finds out by decoding which codecs each decoder can open."""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path

import pytest

from av_tagger.media import doctor
from av_tagger.media.doctor import OPTIONS, PICTURES, SOUNDS, DecoderReport, decoders


def test_every_decoder_is_tried() -> None:
    reports = {report.name: report for report in decoders()}
    assert {"h264", "aac", "flac"} <= set(reports["pyav"].opens)
    assert reports["pyav"].refuses == ()
    assert reports["pyav"].advice == ""
    if reports["decord"].version is not None:
        assert "h264" in reports["decord"].opens
        assert set(reports["decord"].refuses) <= {"av1"}


def test_a_decoder_that_is_not_installed_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.metadata.version

    def version(package: str) -> str:
        if package == "decord":
            raise importlib.metadata.PackageNotFoundError(package)
        return real(package)

    monkeypatch.setattr(doctor.importlib.metadata, "version", version)
    assert doctor._report("decord", {}, 1.0) == DecoderReport(
        "decord", None, advice="pip install decord, or use the default decoder"
    )


def test_refused_codecs_are_read_by_pyav(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_opens", lambda name, path, limit: path.stem != "av1")
    monkeypatch.setattr(doctor.importlib.metadata, "version", lambda package: "1.0")
    samples = {codec: Path(f"{codec}.mkv") for codec in ("h264", "av1")}
    report = doctor._report("decord", samples, 1.0)
    assert (report.opens, report.refuses) == (("h264",), ("av1",))
    assert report.advice == "PyAV is used for av1"
    assert doctor._report("pyav", samples, 1.0).advice == ""


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "a.mp4"
    broken.write_bytes(b"text " * 100)
    assert not doctor._opens("pyav", broken, 20.0)


def test_encoders_that_this_ffmpeg_lacks_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "PICTURES", {"odd": ("no_such_encoder", "mp4")})
    monkeypatch.setattr(doctor, "SOUNDS", {"flac": SOUNDS["flac"]})
    assert [codec for codec, _ in doctor._samples(tmp_path)] == ["flac"]


def test_options_belong_to_encoders_of_the_table() -> None:
    assert set(OPTIONS) <= {encoder for encoder, _ in (*PICTURES.values(), *SOUNDS.values())}


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="no scheduling policies here")
def test_trying_encoders_leaves_the_scheduling_policy_alone() -> None:
    before = os.sched_getscheduler(0)
    assert decoders()
    assert os.sched_getscheduler(0) == before
