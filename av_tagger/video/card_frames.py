"""Frames that were decoded on a GPU and stay there; they enter the same path of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from av_tagger.clip import Frames, Images, Rows
from av_tagger.networks import upload
from av_tagger.video.pixels import converted, split_planes


@dataclass(frozen=True)
class CardFrames(Frames):
    """As `Frames` with `luma`; `images` is a uint8 tensor (n, height * 3 / 2, width)."""

    def __post_init__(self) -> None:
        images = self.on_card
        if images.dtype != torch.uint8 or images.ndim != 3 or self.luma is None:
            raise ValueError(f"frames of a card are planes: {images.shape = }, {images.dtype = }")
        if self.times.shape != (len(images),):
            raise ValueError(f"one time per frame: {self.times.shape = }, {images.shape = }")

    @property
    def on_card(self) -> Tensor:
        return cast("Tensor", self.images)

    def rgb(self, rows: Rows | slice = slice(None)) -> Images:
        """Converted on the card, then copied from it."""
        assert self.luma is not None
        pictures = converted(split_planes(self.on_card[rows]), self.luma)
        images: Images = pictures.permute(0, 2, 3, 1).cpu().numpy()
        return images

    def planes(self) -> tuple[Images, Images, Images]:
        y, u, v = (plane.cpu().numpy() for plane in split_planes(self.on_card))
        return y, u, v


def card_frames(images: Tensor, like: Frames) -> CardFrames:
    """Pictures on a card with the times and the colours of `like`, and their repeats."""
    pixels: Any = images
    return CardFrames(pixels, like.times, like.damaged, like.luma, repeats_of(images))


def together(films: Sequence[Frames], rows: Sequence[Rows]) -> Frames:
    """Some rows of films of one form in main memory, as one film."""
    count = sum(map(len, rows))
    images, end = np.empty((count, *films[0].images.shape[1:]), np.uint8), 0
    for film, chosen in zip(films, rows, strict=True):
        end += len(chosen)
        np.take(film.images, chosen, 0, images[end - len(chosen) : end], "clip")
    return Frames(images, np.zeros(count), luma=films[0].luma)


def rgb_on(films: Sequence[Frames], rows: Sequence[Rows], device: torch.device) -> Tensor:
    """(n, 3, height, width) uint8 of some rows of films of one form, converted on the device."""
    pixels, luma = _gathered(films, rows, device), films[0].luma
    return pixels.permute(0, 3, 1, 2) if luma is None else converted(split_planes(pixels), luma)


def _gathered(films: Sequence[Frames], rows: Sequence[Rows], device: torch.device) -> Tensor:
    """Those pictures as they were decoded; the card reads page-locked memory by itself."""
    cards = [film.on_card for film in films if isinstance(film, CardFrames)]
    if len(cards) == len(films):
        return torch.cat([images[chosen] for images, chosen in zip(cards, rows, strict=True)])
    images = [torch.from_numpy(film.images) for film in films]
    if all(one.is_pinned() for one in images):
        return copied(images, rows, device)
    return upload(torch.from_numpy(together(films, rows).images), device)


def copied(films: Sequence[Tensor], rows: Sequence[Rows], device: torch.device) -> Tensor:
    """Some rows of stacks of pictures, each copied from where it lies."""
    shape = (sum(map(len, rows)), *films[0].shape[1:])
    out = torch.empty(shape, dtype=films[0].dtype, device=device)
    place = iter(out.unbind())
    for film, chosen in zip(films, rows, strict=True):
        for row in chosen.tolist():
            next(place).copy_(film[row], non_blocking=True)
    return out


def repeats_of(images: Tensor) -> NDArray[np.int64]:
    """For each frame the first that equals it: by checksums, which a comparison confirms."""
    flat = images.reshape(len(images), -1)
    keys = flat.view(torch.int16).sum(dim=1, dtype=torch.int64)  # even sides: whole pairs of bytes
    first = (keys[:, None] == keys).to(torch.uint8).argmax(dim=1)
    place = torch.arange(len(flat), device=flat.device)
    first = torch.where((flat[first] == flat).all(dim=1), first, place)
    found: NDArray[np.int64] = first.cpu().numpy()
    return found


def planes_of_nv12(nv12: Tensor, halvings: int) -> Tensor:
    """(n, height * 3 / 2, width) as engines give it, luma above pairs of colour differences.

    Returned as planes one after another, halved so often by the mean of 2 x 2 pixels, like the
    pictures that the cores decode.
    """
    n, rows, width = nv12.shape
    height = rows * 2 // 3
    pairs = nv12[:, height:].reshape(n, height // 2, width // 2, 2)
    high, wide = (height >> halvings) & ~1, (width >> halvings) & ~1
    parts = [nv12[:, : high << halvings, : wide << halvings]]
    half = (slice(None), slice(0, (high << halvings) // 2), slice(0, (wide << halvings) // 2))
    parts += [pairs[..., 0][half], pairs[..., 1][half]]
    for _ in range(halvings):
        parts = [_halved(part) for part in parts]
    flat = torch.cat([part.reshape(n, -1) for part in parts], dim=1)
    return flat.view(n, high * 3 // 2, wide)


def _halved(plane: Tensor) -> Tensor:
    """The rounded mean of every 2 x 2 pixels."""
    n, height, width = plane.shape
    four = plane.reshape(n, height // 2, 2, width // 2, 2).to(torch.int16).sum(dim=(2, 4))
    return ((four + 2) >> 2).to(torch.uint8)
