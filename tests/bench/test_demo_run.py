"""The run of demo scenes: true times, peaks that stay the same, films of the scene's length."""

from __future__ import annotations

from pathlib import Path

import pytest

from av_tagger.bench import demo_run
from av_tagger.media import make_backend
from av_tagger.synth.pictures import demo_scene


def test_a_made_result_has_the_times_of_the_scene() -> None:
    scene, _, _ = demo_scene(12)
    result = demo_run.made_result(scene, Path("a.mp4"), 12)
    events = {(tag.label, e.start, e.end) for tag in result.tags for e in tag.events}
    assert events == {(e.label, e.start, e.end) for e in scene.events}
    assert all(tag.probability == max(e.peak for e in tag.events) for tag in result.tags)
    assert result == demo_run.made_result(scene, Path("a.mp4"), 12)


def test_the_run_is_searched_without_its_films(tmp_path: Path) -> None:
    demo_run.write_run(tmp_path, (6, 7, 14))
    found = demo_run.find_in(tmp_path, "any siren AND NOT bus")
    assert {Path(hit.file).name for hit in found.hits} == {"street 06.mp4", "street 14.mp4"}
    assert found.hits[0].score > found.hits[1].score  # type: ignore[operator]
    assert {e.label for hit in found.hits for e in hit.events} == {
        "Ambulance (siren)",
        "Police car (siren)",
    }


def test_films_have_sound_pictures_and_a_fixed_date(tmp_path: Path) -> None:
    (result,) = results = demo_run.write_run(tmp_path, (6,))
    demo_run.write_films(results, (6,))
    info = make_backend("pyav").probe(result.clip.path)
    assert info.duration_seconds == pytest.approx(10, abs=0.3)
    assert info.audio is not None
    assert info.video is not None
    (hit,) = demo_run.find_in(tmp_path, "any siren").hits
    assert hit.moment == demo_run.DATE
