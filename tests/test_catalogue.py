"""The catalogue of weights: every entry is complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from av_tagger import weights
from av_tagger.errors import WeightsError
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
    if file.urls:
        assert bool(file.sha256) != bool(file.check), "one proof of what is downloaded"


@pytest.mark.parametrize("name", sorted(name for name, f in CATALOGUE.items() if f.check))
@pytest.mark.parametrize("content", [b"", b"bad", b"PK\3\4", b"\x80\x02}q\x00.", bytes(5000)])
def test_checks_of_content_refuse_other_files(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"{CATALOGUE[name].filename}.part"
    path.write_bytes(content)
    check = weights._content_check(CATALOGUE[name])
    assert check is not None
    with pytest.raises(WeightsError, match=re.escape(path.name)):
        check(path)


def test_no_two_entries_share_a_file() -> None:
    assert len({f.filename for f in CATALOGUE.values()}) == len(CATALOGUE) > 0
