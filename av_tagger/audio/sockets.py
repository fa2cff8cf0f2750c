"""The ear's own sockets: what an extractor, a pooling and a loss promise (METHOD: extractor, instances, bag pooling, loss)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from av_tagger.audio.architecture import FeatureShape

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True)
class NoSettings:
    """A part with nothing to set."""


class Extractor(nn.Module):
    """Features (B, C, T, M), T a multiple of `stride`, to instances (B, T / stride, `width`)."""

    Settings: ClassVar[type[DataclassInstance]] = NoSettings
    stride: int  # frames an instance
    width: int

    def __init__(self, shape: FeatureShape, settings: Any = None) -> None:
        super().__init__()
        self.shape = shape
        self.settings = settings

    @property
    def rate(self) -> float:
        """Instances a second."""
        return self.shape.rate / self.stride

    @property
    def level_widths(self) -> tuple[int, ...]:
        """Widths of what `levels` returns."""
        return (self.width,)

    def levels(self, features: Tensor) -> tuple[Tensor, ...]:
        """Hidden layers for a multi-level pooling, each (B, instances, its width); the last is the output."""
        return (self(features),)


@dataclass(frozen=True)
class Bag:
    """A batch of bags of instances, as a pooling sees it."""

    embeddings: Tensor  # (B, I, width)
    probabilities: Tensor  # (B, I, classes), of the instances
    mask: Tensor  # (B, I) bool, true where there is an instance; each bag has at least one
    classify: Callable[
        [Tensor], Tensor
    ]  # (..., width) -> (..., classes): the head, for poolings in the feature space
    levels: tuple[
        Tensor, ...
    ] = ()  # what the extractor's `levels` gave, for poolings that set `wants_levels`


@dataclass(frozen=True)
class BagShape:
    """What a pooling is built for."""

    width: int
    classes: int
    level_widths: tuple[int, ...] = ()
    activation: str = "sigmoid"


class Pooling(nn.Module):
    """A `Bag` to bag probabilities (B, classes)."""

    Settings: ClassVar[type[DataclassInstance]] = NoSettings
    wants_levels: ClassVar[bool] = False
    decides: ClassVar[bool] = (
        True  # it pools decisions on instances; if not, `Bag.probabilities` is empty and the head judges what it pooled
    )

    def __init__(self, shape: BagShape, settings: Any = None) -> None:
        super().__init__()
        self.shape = shape
        self.settings = settings

    @property
    def head_width(self) -> int:
        """Of what the head judges."""
        return self.shape.width

    def answers(self, bag: Bag) -> tuple[Tensor, Tensor]:
        """Bags (B, classes), and instances (B, I, classes), each judged as if it were a bag of its own."""
        return self(bag), bag.probabilities


@dataclass(frozen=True)
class Heard:
    """What a network answers, padding included; `mask` says what is real."""

    bags: Tensor  # (B, classes) probabilities
    instances: Tensor  # (B, I, classes) probabilities
    mask: Tensor  # (B, I) bool
    embeddings: Tensor  # (B, I, width)


class Loss(Protocol):
    """An answer and its targets (B, classes) in [0, 1] to one number."""

    def __call__(self, heard: Heard, targets: Tensor) -> Tensor: ...


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "softmax": lambda logits: logits.softmax(dim=-1),
}
