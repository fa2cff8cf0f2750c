"""The table of hits: folders, parts of files, several runs, many events, hostile names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from av_tagger.cli.show_hits import show_hits
from av_tagger.collection.search import Found, FoundEvent, Hit

EVENT = FoundEvent("Dog", 1.0, 2.5, 0.75)
HIT = Hit("run", "films/a.mp4", 0.0, None, 60.0, None, 0.8, (("Dog", 0.8),), (EVENT,))
LABEL = "Police car (siren)"


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setenv("COLUMNS", "80")

    def shown(*hits: Hit, total: int = 0) -> str:
        show_hits(Found(total or len(hits), hits))
        out = capsys.readouterr().out
        assert max(map(len, out.splitlines())) <= 80
        return " ".join(out.split())

    return shown


def test_a_folder_that_all_have_is_said_once(shown: object) -> None:
    text = shown(HIT, replace(HIT, file="films/new/b.mp4"))  # type: ignore[operator]
    assert "0.80 a.mp4 Dog 1.0–2.5 s" in text
    assert "0.80 new/b.mp4" in text
    assert text.endswith("files in films 2 found")


def test_without_a_common_folder_paths_are_whole(shown: object) -> None:
    text = shown(HIT, replace(HIT, file="/abs/b.mp4"))  # type: ignore[operator]
    assert "films/a.mp4" in text
    assert "/abs/b.mp4" in text
    assert "files in" not in text


def test_parts_of_files_say_which(shown: object) -> None:
    assert "a.mp4 [10–20 s]" in shown(replace(HIT, start=10.0, end=20.0))  # type: ignore[operator]
    assert "a.mp4 [10–end s]" in shown(replace(HIT, start=10.0))  # type: ignore[operator]
    live = replace(HIT, start=10.0, end=20.0, live=True)
    assert "[" not in shown(live)  # type: ignore[operator]


def test_runs_are_told_apart(shown: object) -> None:
    text = shown(HIT, replace(HIT, source="other"))  # type: ignore[operator]
    assert "score run file when" in text
    assert "0.80 other a.mp4" in text
    assert "score file when" in shown(HIT)  # type: ignore[operator]


def test_many_events_are_counted(shown: object) -> None:
    events = tuple(FoundEvent(LABEL, n, n + 1.0, 0.5) for n in range(10))
    text = shown(replace(HIT, events=(*events, EVENT)))  # type: ignore[operator]
    assert "3.0–4.0 s and 6 more; Dog 1.0–2.5 s" in text


def test_without_events_the_tags_are_shown(shown: object) -> None:
    assert "a.mp4 Dog" in shown(replace(HIT, events=()))  # type: ignore[operator]
    nothing = replace(HIT, events=(), tags=(), score=None)
    assert "a.mp4 no tags" in shown(nothing)  # type: ignore[operator]


def test_hostile_names_are_escaped(shown: object) -> None:
    text = shown(replace(HIT, file="films/\x1b[31m\n[bold]x.mp4"))  # type: ignore[operator]
    assert "\\x1b[31m\\n[bold]x.mp4" in text.replace(" ", "")


def test_the_total_of_more(shown: object) -> None:
    assert shown(HIT, total=1234).endswith("1,234 found, the best 1 shown (-n N)")  # type: ignore[operator]
    assert shown() == "nothing was found"  # type: ignore[operator]
