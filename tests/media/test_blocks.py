"""Picture memory is reused, but never while an array still looks at it."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from av_tagger.media.blocks import RECENT, ROUND, SPARE, Block, Blocks
from av_tagger.media.transport import SharedBlocks


def address(images: np.ndarray) -> int:
    return int(images.__array_interface__["data"][0])


@pytest.mark.parametrize("make", [Blocks, SharedBlocks])
def test_memory_is_reused_when_no_array_looks_at_it(make: type[Blocks]) -> None:
    memory = make()
    images = memory.allocate((2, 300, 400, 3))
    images[...] = 7
    first, view = address(images), images[1:]
    del images
    gc.collect()
    other = memory.allocate((2, 300, 400, 3))
    other[...] = 8
    assert address(other) != first, "a view of a part keeps the whole"
    assert (view == 7).all()
    del view
    assert address(memory.allocate((2, 299, 400, 3))) == first
    assert (other == 8).all()


def test_a_much_larger_block_is_kept_for_a_larger_need() -> None:
    memory = Blocks()
    large = address(memory.allocate((30, 600, 400, 3)))
    small = memory.allocate((3, 600, 400, 3))
    assert address(small) != large
    assert address(memory.allocate((29, 600, 400, 3))) == large


def test_the_smallest_block_that_fits_is_taken() -> None:
    memory = Blocks()
    held = [memory.allocate((n * ROUND,)) for n in (3, 2)]
    small = address(held[1])
    held.clear()
    assert address(memory.allocate((2 * ROUND - 5,))) == small


def test_as_many_blocks_wait_as_were_just_in_use_together_then_few() -> None:
    memory = Blocks()
    kept = [memory.allocate((1, 1000, 1000, 3)) for _ in range(5)]
    addresses = {address(images) for images in kept}
    for _ in range(3):  # as a batch that is scored at once gives them back
        del kept
        kept = [memory.allocate((1, 1000, 1000, 3)) for _ in range(5)]
        assert {address(images) for images in kept} == addresses
    del kept
    for _ in range(RECENT):
        assert address(memory.allocate((1, 1000, 1000, 3))) in addresses
    assert len(memory._spare) <= SPARE


def test_sizes_are_rounded_up_so_that_similar_clips_share_blocks() -> None:
    sizes: list[int] = []

    def make(size: int) -> Block:
        sizes.append(size)
        return Block(np.empty(size, np.uint8), size)

    memory = Blocks(make)
    one = memory.allocate((1, 1, 1, 3))
    other = memory.allocate((1, 1024, 1024, 3))
    assert sizes == [ROUND, 3 * ROUND]
    assert (one.shape, other.shape) == ((1, 1, 1, 3), (1, 1024, 1024, 3))


def test_nothing_can_be_asked_for() -> None:
    empty = Blocks().allocate((0, 4, 4, 3))
    assert empty.shape == (0, 4, 4, 3)
    assert empty.dtype == np.uint8


def test_a_block_waits_for_all_its_users() -> None:
    memory = Blocks()
    images, block = memory._lend((4, 4, 4, 3))
    block.users += 1  # as a second process would
    first = address(images)
    del images
    other = memory.allocate((4, 4, 4, 3))
    assert address(other) != first
    memory.done(block)
    assert address(memory.allocate((4, 4, 4, 3))) == first
