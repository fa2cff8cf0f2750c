"""The catalogue of weights: every entry is complete."""

from __future__ import annotations

import re

import pytest

from av_tagger.weights import CATALOGUE


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_entries_are_complete(name: str) -> None:
    file = CATALOGUE[name]
    assert file.name == name
    assert re.fullmatch(r"[\w.+-]+", file.filename), "a plain file name"
    assert all(url.startswith("https://") for url in file.urls)
    assert re.fullmatch(r"[0-9a-f]{64}|", file.sha256)
    assert file.licence
    assert file.about


def test_no_two_entries_share_a_file() -> None:
    assert len({f.filename for f in CATALOGUE.values()}) == len(CATALOGUE) > 0
