"""Where a film can be cut: segments that begin at key frames, or exactly where they are wanted."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from av_tagger.media.opening import BROKEN
from av_tagger.media.spans import Span

NEVER = 1 << 60
TOLERANCE = Fraction(1, 20)  # seconds by which a key frame may be later than asked for
FRAME = Fraction(1, 25)  # where a packet does not say how long it lasts


@dataclass(frozen=True)
class Segment:
    """What becomes one part of the new film; times are those of the container."""

    start: Fraction
    end: Fraction
    place: Fraction  # where it begins in the new film
    first: int = 0  # packets of the leading track, in the order of the file
    stop: int = NEVER


@dataclass(frozen=True)
class Part:
    """What was asked for and what it became, in seconds of the file; no segment: left out."""

    asked: Span
    segment: Segment | None
    got: Span
    copied: bool = True


@dataclass(frozen=True)
class _Packet:
    pts: Fraction
    dts: Fraction
    end: Fraction
    key: bool


def exact_plan(spans: Sequence[Span], origin: Fraction) -> list[Part]:
    """Segments exactly as asked for."""
    parts, place = [], Fraction(0)
    for span in spans:
        start, end = _seconds(span.start), _seconds(span.end)
        segment = Segment(start + origin, end + origin, place)
        parts.append(Part(span, segment, span, copied=False))
        place += end - start
    return parts


def copy_plan(
    container: Any, lead: Any, spans: Sequence[Span], origin: Fraction, *, inward: bool
) -> list[Part]:
    """Segments that begin at key frames. `inward` ones hold nothing that was not asked for.

    The others hold all of it: they begin at the key frame before. Where that is inside the segment
    before, the two become one.
    """
    packets = list(_packets(container, lead))
    keys = [n for n, packet in enumerate(packets) if packet.key]
    ranges: list[tuple[int, int]] = []
    places: list[int | None] = []  # of the range of each span
    for span in spans:
        times = _seconds(span.start) + origin, _seconds(span.end) + origin
        found = (_inward if inward else _outward)(packets, keys, times)
        if found is not None and ranges and found[0] < ranges[-1][1]:
            ranges[-1] = (ranges[-1][0], max(ranges[-1][1], found[1]))
        elif found is not None:
            ranges.append(found)
        places.append(None if found is None else len(ranges) - 1)
    segments = _segments(packets, ranges)
    return [
        _part(span, None if place is None else segments[place], origin)
        for span, place in zip(spans, places, strict=True)
    ]


def _segments(packets: Sequence[_Packet], ranges: Sequence[tuple[int, int]]) -> list[Segment]:
    """One after the other in the new film."""
    found, place = [], Fraction(0)
    for first, stop in ranges:
        start = packets[first].pts
        end = max(p.end for p in packets[first:stop] if p.pts >= start)
        found.append(Segment(start, end, place, first, stop))
        place += end - start
    return found


def _part(span: Span, segment: Segment | None, origin: Fraction) -> Part:
    if segment is None:
        return Part(span, None, Span(span.start, span.start))
    got = Span(float(segment.start - origin), float(segment.end - origin))
    return Part(span, segment, got)


def _outward(
    packets: Sequence[_Packet], keys: Sequence[int], span: tuple[Fraction, Fraction]
) -> tuple[int, int] | None:
    """From the key frame before the start to the last packet of a frame before the end."""
    start, end = span
    if not keys:
        return None
    place = bisect_right(keys, start + TOLERANCE, key=lambda n: packets[n].pts) - 1
    first = keys[max(0, place)]
    stop = first + 1
    for number in range(first + 1, len(packets)):
        if packets[number].dts >= end:  # as are all that follow: none is shown before the end
            break
        if packets[number].pts < end:
            stop = number + 1
    return first, stop


def _inward(
    packets: Sequence[_Packet], keys: Sequence[int], span: tuple[Fraction, Fraction]
) -> tuple[int, int] | None:
    """From the key frame after the start to the packet before the first one after the end."""
    start, end = span
    place = bisect_left(keys, start - FRAME / 40, key=lambda n: packets[n].pts)
    if place == len(keys) or packets[keys[place]].pts >= end:
        return None
    first = keys[place]
    later = (n for n in range(first + 1, len(packets)) if packets[n].pts >= end)
    return first, next(later, len(packets))


def _packets(container: Any, lead: Any) -> Iterator[_Packet]:
    """Times of all packets of a track, in the order of the file."""
    last = Fraction(0)
    packets = container.demux(lead)
    while True:
        try:
            packet = next(packets, None)
        except BROKEN:  # the rest of a damaged file is left out
            return
        if packet is None:
            return
        if not packet.size:
            continue
        base = packet.time_base
        pts = last if packet.pts is None else packet.pts * base
        dts = pts if packet.dts is None else packet.dts * base
        last = pts + (packet.duration * base if packet.duration else FRAME)
        yield _Packet(pts, dts, last, bool(packet.is_keyframe) and packet.pts is not None)


def _seconds(value: float) -> Fraction:
    return Fraction(value).limit_denominator(1_000_000)
