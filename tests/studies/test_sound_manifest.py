"""Sound manifests: rows, three-valued targets and waveforms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from av_tagger.errors import MediaError, TableError
from av_tagger.studies.sound_manifest import (
    COULD_BE,
    LABELS,
    read_sounds,
    read_waveform,
    targets_of_labels,
)
from tests.studies.conftest import write_sounds


def target(label: str, *labels: str, ambiguous: tuple[str, ...] = ()) -> float:
    return float(targets_of_labels(labels, ambiguous)[LABELS.index(label)])


def test_targets_are_present_absent_or_unknown() -> None:
    assert target("Screaming", "Screaming") == 1
    assert target("Train", "Screaming") == 0
    assert np.isnan(target("Train", "Screaming", ambiguous=("ENGINE_ANY",)))


def test_the_vehicle_of_a_siren_or_horn_is_unknown() -> None:
    assert np.isnan(target("Car", "Police car (siren)"))
    assert np.isnan(target("Train", "Train horn"))
    assert np.isnan(target("Car passing by", "Car"))
    assert np.isnan(target("Car", "Car passing by"))


def test_a_certain_label_wins_over_an_ambiguous_one() -> None:
    assert target("Bus", "Bus", ambiguous=("STREET",)) == 1


@pytest.mark.parametrize("name", sorted(COULD_BE))
def test_ambiguous_labels_stand_for_known_classes(name: str) -> None:
    assert set(COULD_BE[name]) <= set(LABELS)


def test_rows_keep_their_order_and_columns(sounds: Path) -> None:
    rows = read_sounds(sounds)
    assert len(rows) == 3 * 17 + 11
    assert rows[0].labels == (LABELS[0],)
    assert rows[0].recording == "recording 0 0"
    assert rows[-2].ambiguous == ("ENGINE_ANY",)
    assert rows[-1].licence.startswith("unclear")
    assert rows[0].path.is_file()


@pytest.mark.parametrize(("labels", "ambiguous"), [("Trane", ""), ("", "ENGINES")])
def test_unknown_labels_are_errors(tmp_path: Path, labels: str, ambiguous: str) -> None:
    path = write_sounds(tmp_path, [("a.wav", labels, ambiguous, "", "")])
    with pytest.raises(TableError, match=f"line 2.*{labels or ambiguous}"):
        read_sounds(path)


def test_waveforms_are_resampled_and_cut(sounds: Path) -> None:
    row = read_sounds(sounds)[0]
    assert len(read_waveform(row.path, 16_000)) == pytest.approx(8_000, abs=2)
    assert len(read_waveform(row.path, 16_000, 0.25)) == pytest.approx(4_000, abs=2)
    (row.path.parent / "text.wav").write_text("no sound")
    with pytest.raises(MediaError):
        read_waveform(row.path.parent / "text.wav", 16_000)
