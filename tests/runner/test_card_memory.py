"""Windows on their way to a card, without one: memory that is locked once, and no second copy."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from av_tagger import networks
from av_tagger.bench.driver import free_tagger, linked
from av_tagger.bench.free_networks import FreeRecogniser
from av_tagger.bench.pipeline_settings import PipelineSettings
from av_tagger.clip import Clip, Frames, Rows
from av_tagger.media import DecoderPool
from av_tagger.runner import worker as module
from av_tagger.runner.concurrency import Concurrency, for_machine
from av_tagger.runner.job import Item
from av_tagger.runner.local import InProcessEngine
from av_tagger.runner.run import RunRequest, run
from av_tagger.runner.worker import Worker, page_lock_of, worker_of
from av_tagger.video import card_frames
from tests.assets import make_video
from tests.fakes import tagger

NETWORK = "mobilenetv3_small_050"


class Card:
    """Stands in for the runtime of CUDA: what is page-locked, and how often it was asked."""

    def __init__(self) -> None:
        self.held: dict[int, int] = {}
        self.registered = 0
        self.devices: set[str] = set()

    def is_available(self) -> bool:
        return True

    def cudart(self) -> Card:
        return self

    @contextmanager
    def device(self, name: str) -> Iterator[None]:
        self.devices.add(name)
        yield

    def cudaHostRegister(self, address: int, size: int, flags: int) -> int:
        assert address not in self.held
        self.held[address], self.registered = size, self.registered + 1
        return 0

    def cudaHostUnregister(self, address: int) -> int:
        del self.held[address]
        return 0

    def holds(self, array: np.ndarray) -> bool:
        at = int(array.__array_interface__["data"][0])
        return any(a <= at and at + array.nbytes <= a + size for a, size in self.held.items())


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Iterator[Card]:
    made = Card()
    monkeypatch.setattr(networks, "torch", SimpleNamespace(cuda=made))
    yield made
    gc.collect()


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """24 names of three films of two sizes and lengths, each below the size of a block."""
    folder = tmp_path_factory.mktemp("films")
    made = [
        make_video(folder / "a.mp4", seconds=1.0),
        make_video(folder / "b.mp4", seconds=1.0, size=(96, 64)),
        make_video(folder / "c.mp4", seconds=2.0, size=(96, 64)),
    ]
    return linked(folder, made, 8)


Ask = Callable[[Sequence[Frames], Sequence[Rows]], None]


def run_of(folder: Path, clips: Sequence[Path], pool: DecoderPool, look: Ask) -> None:
    """A run as on a card; `look` sees what the recogniser gets."""
    made = free_tagger(PipelineSettings(recogniser=NETWORK))
    eye: Any = made.parts.eye
    recogniser = eye.parts.recogniser
    assert isinstance(recogniser, FreeRecogniser)
    prepare = recogniser._prepared

    def looking(films: Sequence[Frames], rows: Sequence[Rows]) -> torch.Tensor:
        look(films, rows)
        return prepare(films, rows)

    recogniser._prepared = looking  # type: ignore[method-assign]
    chosen = for_machine(Concurrency(decoders=2, ahead=4, gather_seconds=0.01), "cuda")
    order = RunRequest(folder, map(Item, map(Clip, clips)), "bench")
    counts = run(order, InProcessEngine(Worker(made, pool.decoder), chosen)).counts
    assert counts.done == len(clips)


def test_windows_land_in_memory_that_is_locked_once_per_block(
    card: Card, clips: list[Path], tmp_path: Path
) -> None:
    """Many clips of several sizes use a few blocks again and again; none stays locked."""
    pool = DecoderPool(keep=4)
    pool.page_lock = page_lock_of("cuda:0")
    seen: list[bool] = []

    def look(films: Sequence[Frames], rows: Sequence[Rows]) -> None:
        seen.extend(card.holds(film.images) for film in films)

    run_of(tmp_path / "run", clips, pool, look)
    assert seen == [True] * len(seen)
    assert len(seen) == len(clips)
    assert card.registered <= 12, "four clips at a time: a few blocks each, not one per clip"
    pool.close()
    gc.collect()
    assert card.held == {}


def test_the_driving_process_copies_no_window(
    clips: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sound and pictures are views of the memory that the decoding process wrote."""
    pool = DecoderPool(keep=4)
    decoder = pool.decoder()
    (media,) = decoder.windows(Clip(clips[0]), free_tagger(PipelineSettings()).parts.request, 60)
    assert media.frames is not None
    assert media.waveform is not None
    for array in (media.frames.images, media.waveform.samples):
        assert not array.flags.owndata
        base: Any = array
        while isinstance(base, np.ndarray):
            base = base.base
        assert type(base).__name__ in ("memoryview", "LockedMap")
    y, u, v = media.frames.planes()
    assert all(np.shares_memory(media.frames.images, plane) for plane in (y, u, v))
    rows = np.array([0, 2])
    copies: list[int] = []
    monkeypatch.setattr(torch.Tensor, "is_pinned", lambda _: True)
    monkeypatch.setattr(card_frames, "together", lambda *_: copies.append(1))
    pixels = card_frames._gathered([media.frames], [rows], torch.device("cpu"))
    np.testing.assert_array_equal(pixels.numpy(), media.frames.images[rows])
    assert copies == [], "each row is copied to the card from where it lies"
    decoder.close()
    pool.close()


def test_a_worker_on_a_card_locks_the_memory_of_its_decoders(
    card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert page_lock_of("cpu") is None
    lock = page_lock_of("cuda:1")
    assert lock is not None
    undo = lock(4096, 100)
    assert card.held == {4096: 100}
    assert card.devices == {"cuda:1"}
    assert undo is not None
    undo()
    assert card.held == {}
    monkeypatch.setattr(module, "page_lock_of", lambda device: f"lock of {device}")
    made: Any = worker_of(tagger(), "pyav")
    assert made.decoder.__self__.page_lock == "lock of cpu"
