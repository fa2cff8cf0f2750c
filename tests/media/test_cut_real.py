"""Real films of many codecs, rotations and containers are cut, and what comes out plays."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from av_tagger.errors import AvTaggerError
from av_tagger.media.cut import CutFilm, CutOptions, cut_film, seconds_of_film, suffix_for
from av_tagger.media.opening import open_container, pick_tracks
from av_tagger.media.spans import Span
from tests import ROOT

MEDIA = ROOT.parent / "shared" / "data" / "media"
FILMS = sorted((MEDIA / "videos").glob("*")) if MEDIA.exists() else []
ODD = sorted((MEDIA / "odd").glob("*")) if MEDIA.exists() else []
LONGEST = 40.0  # seconds of a film that is encoded again here

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FILMS, reason="the real films are not beside this checkout"),
]


def ends(path: Path) -> dict[str, float]:
    """The time at which the last frame of each kind of track begins."""
    found: dict[str, float] = {}
    with open_container(path) as film:
        tracks = pick_tracks(film)
        streams = [s for s in (tracks.video, tracks.audio) if s is not None]
        for packet in film.demux(streams):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                continue
            for frame in frames:
                if frame.time is not None:
                    kind = packet.stream.type
                    found[kind] = max(found.get(kind, 0.0), float(frame.time))
    return found


def cut_thirds(source: Path, folder: Path, *, exact: bool) -> CutFilm:
    """The second and the last sixth of a film."""
    length = seconds_of_film(source)
    spans = [Span(length / 6, length / 3), Span(length * 5 / 6, length)]
    target = folder / f"cut{suffix_for(source, exact=exact)}"
    return cut_film(source, target, spans, CutOptions(exact=exact))


@pytest.mark.parametrize("exact", [False, True], ids=["copied", "exact"])
@pytest.mark.parametrize("source", FILMS, ids=lambda p: p.name)
def test_a_real_film_is_cut(source: Path, exact: bool, tmp_path: Path) -> None:
    if exact and seconds_of_film(source) > LONGEST:
        pytest.skip("would take minutes")
    film = cut_thirds(source, tmp_path, exact=exact)
    segments = list(dict.fromkeys(p.segment for p in film.parts if p.segment is not None))
    length = float(sum(s.end - s.start for s in segments))
    found = ends(film.path)
    assert found, "something can be decoded"
    for kind, end in found.items():
        assert end <= length + 0.3, f"{kind} is not longer than its parts"
    if exact:
        assert length == pytest.approx(sum(p.asked.seconds for p in film.parts), abs=1e-3)


@pytest.mark.parametrize("exact", [False, True], ids=["copied", "exact"])
def test_odd_files_are_cut_or_refused_in_one_sentence(exact: bool, tmp_path: Path) -> None:
    cut = 0
    refusals: list[str] = []
    for source in ODD:
        try:
            if seconds_of_film(source) > LONGEST:
                continue
            film = cut_thirds(source, tmp_path, exact=exact)
        except AvTaggerError as error:
            refusals.append(str(error))
        else:
            cut += 1
            assert film.path.stat().st_size > 0
            film.path.unlink()
        assert list(tmp_path.iterdir()) == []
    assert cut > 20
    assert len(refusals) > 20
    assert [text for text in refusals if "\n" in text] == []
