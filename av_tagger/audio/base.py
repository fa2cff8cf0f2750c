"""Base classes of the parts of an audio network, and the data that they exchange."""

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
    """Settings of a part that has none."""


class Extractor(nn.Module):
    """Features (B, C, T, M), T a multiple of `stride`, to instances (B, T / stride, `width`)."""

    Settings: ClassVar[type[DataclassInstance]] = NoSettings
    stride: int  # frames per instance
    width: int
    reach: int | None = None  # instances on each side that one depends on; None: the whole clip

    def __init__(self, shape: FeatureShape, settings: Any = None) -> None:
        super().__init__()
        self.shape = shape
        self.settings = settings

    @property
    def rate(self) -> float:
        """Instances per second."""
        return self.shape.rate / self.stride

    @property
    def level_widths(self) -> tuple[int, ...]:
        """Widths of what `levels` returns."""
        return (self.width,)

    def levels(self, features: Tensor) -> tuple[Tensor, ...]:
        """Hidden layers for multi-level pooling, each (B, I, width); the last is the output."""
        return (self(features),)


@dataclass(frozen=True)
class Bag:
    """A batch of bags of instances: the input of a pooling."""

    embeddings: Tensor  # (B, I, width)
    probabilities: Tensor  # (B, I, classes), of the instances
    mask: Tensor  # (B, I) bool: False is padding; each bag has at least one instance
    classify: Callable[[Tensor], Tensor]  # the head: (..., width) -> (..., classes)
    levels: tuple[Tensor, ...] = ()  # the extractor's `levels`, for poolings that want them


@dataclass(frozen=True)
class BagShape:
    """What a pooling must know when it is built."""

    width: int
    classes: int
    level_widths: tuple[int, ...] = ()
    activation: str = "sigmoid"


class Pooling(nn.Module):
    """A `Bag` to bag probabilities (B, classes)."""

    Settings: ClassVar[type[DataclassInstance]] = NoSettings
    wants_levels: ClassVar[bool] = False
    decides: ClassVar[bool] = True  # pools probabilities; False: pools features, then classifies

    def __init__(self, shape: BagShape, settings: Any = None) -> None:
        super().__init__()
        self.shape = shape
        self.settings = settings

    @property
    def head_width(self) -> int:
        """Input width of the head."""
        return self.shape.width

    def answers(self, bag: Bag) -> tuple[Tensor, Tensor]:
        """Bags (B, classes), and instances (B, I, classes), each scored as a bag of its own."""
        return self(bag), bag.probabilities


@dataclass(frozen=True)
class Heard:
    """Output of a network; `mask` is False where an instance is padding."""

    bags: Tensor  # (B, classes) probabilities
    instances: Tensor  # (B, I, classes) probabilities
    mask: Tensor  # (B, I) bool
    embeddings: Tensor  # (B, I, width)


class Loss(Protocol):
    """An output and targets (B, classes) in [0, 1] to one number."""

    def __call__(self, heard: Heard, targets: Tensor) -> Tensor: ...


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "softmax": lambda logits: logits.softmax(dim=-1),
}
