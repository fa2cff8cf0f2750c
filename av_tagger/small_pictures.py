"""Small JPEGs of frames for people, made by the process that decoded the frames if it can."""

from __future__ import annotations

import io
from collections.abc import Callable

from av_tagger.clip import Frames, Images, Rows

PICTURE_SIDE = 320  # pixels of the longer side of a kept picture


def small_jpeg(image: Images, side: int = PICTURE_SIDE) -> bytes:
    """A picture for people: its longer side at most `side` pixels."""
    from PIL import Image

    picture = Image.fromarray(image)
    picture.thumbnail((side, side))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=82)
    return buffer.getvalue()


def small_jpegs(frames: Frames, rows: Rows) -> list[bytes]:
    """One JPEG per row, made here."""
    return [small_jpeg(image) for image in frames.rgb(rows)]


def request_jpegs(frames: Frames, rows: Rows) -> Callable[[], list[bytes]]:
    """Ask for the JPEGs of some rows; the function that is returned waits for them.

    The decoding process makes them beside this one. Where there is none, or it has ended, they are
    made here: the bytes are the same.
    """
    if frames.encode is None:
        return lambda: small_jpegs(frames, rows)
    wait = frames.encode(rows)
    return lambda: _checked(wait(), len(rows)) or small_jpegs(frames, rows)


def _checked(found: list[bytes] | None, count: int) -> list[bytes] | None:
    """None for what is no list of so many JPEGs."""
    if found is None or len(found) != count:
        return None
    return found if all(jpeg.startswith(b"\xff\xd8") for jpeg in found) else None
