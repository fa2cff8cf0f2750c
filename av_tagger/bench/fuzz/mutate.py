"""Mutations of bytes: of single bytes, of number fields, and of whole elements of a container."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

LARGEST_FILE = 1 << 20  # bytes of a mutant
MOST_STEPS = 4  # mutations of one mutant


@dataclass(frozen=True)
class Number:
    """A number in a file: where it is and how it is stored."""

    start: int
    length: int
    order: str = "big"  # or little


@dataclass(frozen=True)
class Structure:
    """What is known of the structure of a file: its numbers, and (start, end) of its elements."""

    numbers: tuple[Number, ...] = ()
    elements: tuple[tuple[int, int], ...] = ()


Parse = Callable[[bytes], Structure]
Repair = Callable[[bytes], bytes]
Step = Callable[[bytearray, Structure, random.Random], None]


def unstructured(data: bytes) -> Structure:
    """Of a file of unknown structure."""
    del data
    return Structure()


def mutated(data: bytes, parse: Parse, draw: random.Random) -> bytes:
    """One to four mutations; never the file itself."""
    found = bytearray(data)
    for _ in range(draw.randint(1, MOST_STEPS)):
        layout = parse(bytes(found))
        step = draw.choice(_steps(layout))
        step(found, layout, draw)
        del found[LARGEST_FILE:]
    return bytes(found) if found != data else data + b"\0"


def _steps(layout: Structure) -> list[Step]:
    """The structure is preferred where it is known: random bytes are soon refused."""
    plain = [_flip_bit, _set_bytes, _cut, _remove, _repeat, _overwrite]
    numbers = [_set_number] * (8 if layout.numbers else 0)
    elements = [_drop_element, _copy_element, _swap_elements, _blank_element]
    return [*plain, *numbers, *(elements if layout.elements else [])]


def _at(data: bytearray, draw: random.Random) -> int:
    """A position; half of them near the start, where headers are."""
    if not data:
        return 0
    return draw.randrange(min(len(data), 256) if draw.random() < 0.5 else len(data))


def _span(data: bytearray, draw: random.Random) -> slice:
    start = _at(data, draw)
    return slice(start, start + int(2 ** (draw.random() * 10)))


def _flip_bit(data: bytearray, layout: Structure, draw: random.Random) -> None:
    del layout
    if data:
        data[_at(data, draw)] ^= 1 << draw.randrange(8)


def _set_bytes(data: bytearray, layout: Structure, draw: random.Random) -> None:
    del layout
    for _ in range(draw.randint(1, 8) if data else 0):
        data[_at(data, draw)] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)))


def _cut(data: bytearray, layout: Structure, draw: random.Random) -> None:
    del layout, data[_at(data, draw) :]


def _remove(data: bytearray, layout: Structure, draw: random.Random) -> None:
    del layout, data[_span(data, draw)]


def _repeat(data: bytearray, layout: Structure, draw: random.Random) -> None:
    del layout
    span = _span(data, draw)
    data[span.start : span.start] = data[span] * draw.randint(1, 64)


def _overwrite(data: bytearray, layout: Structure, draw: random.Random) -> None:
    del layout
    span = _span(data, draw)
    data[span] = draw.randbytes(len(data[span]))


def _set_number(data: bytearray, layout: Structure, draw: random.Random) -> None:
    number = draw.choice(layout.numbers)
    span = slice(number.start, number.start + number.length)
    whole = (1 << 8 * number.length) - 1
    little = number.order == "little"
    now = int.from_bytes(data[span], "little" if little else "big")
    choices = (0, 1, 2, whole, whole >> 1, (whole >> 1) + 1, now + 1, now - 1, now * 2, now // 2)
    value = draw.choice((*choices, 1 << draw.randrange(8 * number.length), len(data)))
    data[span] = (value & whole).to_bytes(number.length, "little" if little else "big")


def _element(layout: Structure, draw: random.Random) -> slice:
    return slice(*draw.choice(layout.elements))


def _drop_element(data: bytearray, layout: Structure, draw: random.Random) -> None:
    del data[_element(layout, draw)]


def _copy_element(data: bytearray, layout: Structure, draw: random.Random) -> None:
    element, place = _element(layout, draw), draw.choice(draw.choice(layout.elements))
    data[place:place] = data[element] * draw.choice((1, 1, 2, 50))


def _swap_elements(data: bytearray, layout: Structure, draw: random.Random) -> None:
    one, other = sorted(draw.choices(layout.elements, k=2))
    if one[1] <= other[0]:
        first, second = data[slice(*one)], data[slice(*other)]
        data[slice(*other)] = first
        data[slice(*one)] = second


def _blank_element(data: bytearray, layout: Structure, draw: random.Random) -> None:
    element = _element(layout, draw)
    data[element] = bytes([draw.choice((0, 0xFF))]) * len(data[element])
