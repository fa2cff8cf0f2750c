"""Embeddings of clips: from a file or a cache to bags."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from av_tagger.clip import Clip
from av_tagger.errors import MediaError, UsageError
from av_tagger.labels import ClassList, SoundClass
from av_tagger.learning.data.bags import EmbeddingBags
from av_tagger.learning.data.embeddings import Stored, embedding_bags
from av_tagger.learning.data.examples import Example, ExampleSet
from av_tagger.reports.embeddings import write_embeddings

Rows = NDArray[np.float32]


@pytest.fixture
def two() -> ClassList:
    return ClassList((SoundClass("hum"), SoundClass("whistle")))


class Counted:
    """Embeddings that are the number of their second."""

    ear, notes = "efficientat.mn04", ()

    def __init__(self, width: Callable[[Clip], int] = lambda _: 3) -> None:
        self.width = width

    def rows(self, clip: Clip) -> Rows:
        if "broken" in clip.name:
            raise MediaError(clip.path, "is broken")
        seconds = int(clip.path.stem.rpartition("-")[2])
        return np.repeat(np.arange(seconds, dtype=np.float32)[:, None], self.width(clip), axis=1)


def examples(two: ClassList, *names: str) -> ExampleSet:
    return ExampleSet(
        two, tuple(Example(Clip(Path(name)), ("hum",) if "hum" in name else ()) for name in names)
    )


def test_embeddings_of_bags_are_concatenated(two: ClassList) -> None:
    seen: list[tuple[int, int]] = []
    bags = embedding_bags(
        examples(two, "hum-2.wav", "broken.wav", "empty-0.wav", "rest-3.wav"),
        Counted(),
        lambda *n: seen.append(n),
    )
    assert isinstance(bags, EmbeddingBags)
    assert bags.first.tolist() == [0, 2, 5]
    assert bags.rows[:, 0].tolist() == [0, 1, 0, 1, 2]
    assert bags.targets.tolist() == [[1, 0], [0, 0]]
    assert [(s.name, s.kind, s.reason) for s in bags.skipped] == [
        ("broken.wav", "missing", "is broken"),
        ("empty-0.wav", "missing", "has no embedding in the seconds that the table gives"),
    ]
    assert seen[-1] == (4, 4)


def test_unusable_embeddings_are_errors(two: ClassList) -> None:
    with pytest.raises(
        UsageError, match=r"no clip can be used for training \(broken\.wav: is broken\)"
    ):
        embedding_bags(examples(two, "broken.wav"), Counted())
    with pytest.raises(UsageError, match=r"different widths \(3, 4\): use one ear for all"):
        embedding_bags(
            examples(two, "hum-2.wav", "other-2.wav"),
            Counted(lambda clip: 3 if "hum" in clip.name else 4),
        )
    endless = Counted()
    endless.rows = lambda clip: np.full((2, 3), np.nan, np.float32)  # type: ignore[method-assign]
    with pytest.raises(UsageError, match="not finite"):
        embedding_bags(examples(two, "hum-2.wav"), endless)


def test_stored_embeddings_are_found_by_path_then_by_name(tmp_path: Path) -> None:
    rows = {
        str(tmp_path / name): np.full((5, 2), i, np.float32)
        for i, name in enumerate(["a/one.wav", "b/one.wav", "a/two.wav"])
    }
    rows[str(tmp_path / "a/two.wav")] += np.arange(5, dtype=np.float32)[:, None] / 10
    write_embeddings(rows, tmp_path / "rows.npz")
    stored = Stored(tmp_path / "rows.npz")
    assert stored.rows(Clip(tmp_path / "b" / "one.wav"))[0, 0] == 1
    elsewhere = Path("/elsewhere")
    np.testing.assert_allclose(
        stored.rows(Clip(elsewhere / "two.wav", 1.5, 3.2))[:, 0], [2.1, 2.2, 2.3]
    )  # seconds 1 to 4
    with pytest.raises(MediaError, match="has no embeddings in"):
        stored.rows(Clip(elsewhere / "one.wav"))  # two files have that name
    assert stored.notes[0].endswith(
        "does not name the ear of its embeddings: the run can be evaluated, but cannot tag sound"
    )
