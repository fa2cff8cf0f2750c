"""Made-up results for the site: different files, curves, and the memory that is traced."""

from __future__ import annotations

from av_tagger.bench.site import peak_megabytes, sources
from av_tagger.scores import Tagged


def test_every_result_is_another_file_with_a_curve() -> None:
    found = list(sources(205))
    names = [one.outcome.clip.path for one in found]
    assert len(set(names)) == 205
    assert {path.parent.name for path in names} == {"000", "001", "002"}
    assert all(
        isinstance(one.outcome, Tagged) and one.outcome.activity is not None for one in found
    )


def test_memory_does_not_grow_with_the_number_of_results() -> None:
    few, many = (peak_megabytes(lambda n=n: sources(n)) for n in (5, 15))  # type: ignore[misc]
    assert few > 0
    assert many < 2 * few
