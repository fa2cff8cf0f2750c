"""Attention poolings: a weighted mean of instance probabilities, with learned weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from av_tagger.audio.base import ACTIVATIONS, Bag, BagShape, Pooling
from av_tagger.audio.norm import VectorNorm

TINY = 1e-12  # the weights of a bag can all be zero (ReLU); avoids dividing by their sum


@dataclass(frozen=True)
class AttentionSettings:
    nonlinearity: str = "exp"  # phi of PROB and ATT; one of NONLINEARITIES

    def __post_init__(self) -> None:
        check_nonlinearity(self.nonlinearity)


class Attention(Pooling):
    """Decision-level attention (PROB): F_k = sum_x p_k(x) f_k(x).

    v = phi(W h + b) and p_k(x) = v_k(x) / sum_bag v_k.
    """

    Settings = AttentionSettings

    def __init__(self, shape: BagShape, settings: AttentionSettings) -> None:
        super().__init__(shape, settings)
        self.look = attention_layer(shape.width, shape.classes, settings.nonlinearity)

    def forward(self, bag: Bag) -> Tensor:
        z = self.look(bag.embeddings)
        return weighted_mean(bag, attention_weights(z, bag.mask, self.settings.nonlinearity))


@dataclass(frozen=True)
class MultiLevelSettings:
    nonlinearity: str = "softmax"
    levels: int = 2  # the last hidden layers; ATT §III-B does not say how many

    def __post_init__(self) -> None:
        check_nonlinearity(self.nonlinearity)
        if self.levels < 1:
            raise ValueError(f"multi-level attention needs at least one level: {self.levels = }")


class MultiLevel(Pooling):
    """Attention on several hidden layers, joined by a dense layer (ATT equation 6)."""

    Settings = MultiLevelSettings
    wants_levels = True

    def __init__(self, shape: BagShape, settings: MultiLevelSettings) -> None:
        super().__init__(shape, settings)
        widths = (shape.level_widths or (shape.width,))[-settings.levels :]
        self.looks = nn.ModuleList(
            attention_layer(width, shape.classes, settings.nonlinearity) for width in widths
        )
        lower = widths[:-1]  # the last level has the network's own head
        self.judges = nn.ModuleList(nn.Linear(width, shape.classes) for width in lower)
        self.combine = nn.Linear(len(widths) * shape.classes, shape.classes)

    def forward(self, bag: Bag) -> Tensor:
        return self.answers(bag)[0]

    def answers(self, bag: Bag) -> tuple[Tensor, Tensor]:
        levels = (bag.levels or (bag.embeddings,))[-len(self.looks) :]
        activate = ACTIVATIONS[self.shape.activation]
        heads = zip(self.judges, levels, strict=False)
        decisions = [*(activate(head(level).float()) for head, level in heads), bag.probabilities]
        weights = [
            attention_weights(look(level), bag.mask, self.settings.nonlinearity)
            for look, level in zip(self.looks, levels, strict=True)
        ]
        pairs = zip(weights, decisions, strict=True)
        bags = [(normalised(w, bag.mask) * d).sum(dim=1) for w, d in pairs]
        together = self.combine(torch.cat(bags, dim=-1))
        alone = self.combine(torch.cat(decisions, dim=-1))
        return activate(together.float()), activate(alone.float())


@dataclass(frozen=True)
class JdcSettings:
    widths: tuple[int, ...] = (512,)  # hidden layers of the detection branch
    nonlinearity: str = "sigmoid"
    dropout: float = 0.0
    batch_norm: bool = False  # after each hidden layer, before its ReLU

    def __post_init__(self) -> None:
        check_nonlinearity(self.nonlinearity)


class Jdc(Pooling):
    """Joint detection and classification (ATT figure 2a): attention has its own branch."""

    Settings = JdcSettings
    wants_levels = True

    def __init__(self, shape: BagShape, settings: JdcSettings) -> None:
        super().__init__(shape, settings)
        widths = (*(shape.level_widths or (shape.width,))[:1], *settings.widths)
        self.branch = dense_layers(widths, settings.dropout, settings.batch_norm)
        self.look = attention_layer(widths[-1], shape.classes, settings.nonlinearity)

    def forward(self, bag: Bag) -> Tensor:
        z = self.look(self.branch((bag.levels or (bag.embeddings,))[0]))
        return weighted_mean(bag, attention_weights(z, bag.mask, self.settings.nonlinearity))


@dataclass(frozen=True)
class SelfAttentionSettings:
    units: int = 128  # of the hidden layer

    def __post_init__(self) -> None:
        if self.units < 1:
            raise ValueError(f"self-attention needs at least one hidden unit: {self.units = }")


class SelfAttention(Pooling):
    """Structured self-attention (Lin et al., see ATT figure 2b): exp(w tanh(W h)).

    One weight per instance for all classes.
    """

    Settings = SelfAttentionSettings

    def __init__(self, shape: BagShape, settings: SelfAttentionSettings) -> None:
        super().__init__(shape, settings)
        inner, outer = nn.Linear(shape.width, settings.units), nn.Linear(settings.units, 1)
        self.look = nn.Sequential(inner, nn.Tanh(), outer)

    def forward(self, bag: Bag) -> Tensor:
        return weighted_mean(bag, attention_weights(self.look(bag.embeddings), bag.mask, "exp"))


def attention_layer(width: int, outputs: int, nonlinearity: str) -> nn.Module:
    """The layers before the nonlinearity: W x + b; network-in-network has two more (ATT eq. 29)."""
    plain = nn.Linear(width, outputs)
    if nonlinearity != "nin":
        return plain
    return nn.Sequential(plain, nn.Linear(outputs, outputs), nn.ReLU(), nn.Linear(outputs, outputs))


def attention_weights(z: Tensor, mask: Tensor, nonlinearity: str) -> Tensor:
    """Non-negative weights (B, I, outputs) in float32, not normalised."""
    return NONLINEARITIES[nonlinearity](z.float(), mask)


def weighted_mean(bag: Bag, weights: Tensor) -> Tensor:
    """The mean of the instance probabilities under non-negative weights (B, I, classes)."""
    return (normalised(weights, bag.mask) * bag.probabilities).sum(dim=1)


def normalised(weights: Tensor, mask: Tensor) -> Tensor:
    """Weights that sum to one along the bag: 0 for padding, uniform if all weights are zero."""
    real = mask.unsqueeze(-1).to(weights.dtype)
    masked = weights * real
    total = masked.sum(dim=1, keepdim=True)
    uniform = real / real.sum(dim=1, keepdim=True)
    return torch.where(total > TINY, masked / total.clamp(min=TINY), uniform)


def dense_layers(
    widths: tuple[int, ...], dropout: float, batch_norm: bool = False
) -> nn.Sequential:
    """Dense layers with ReLU and dropout from each width to the next."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        norm = [VectorNorm(after)] if batch_norm else []
        layers += [nn.Linear(before, after), *norm, nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers)


def check_nonlinearity(name: Any) -> None:
    if name not in NONLINEARITIES:
        raise ValueError(f"nonlinearity is one of {', '.join(NONLINEARITIES)}: {name!r}")


def _exp(z: Tensor, mask: Tensor) -> Tensor:
    """exp(z - max of the bag): finite, and the same after normalisation."""
    real = z.masked_fill(~mask.unsqueeze(-1), -torch.inf)
    return (real - real.amax(dim=1, keepdim=True).detach()).exp()


NONLINEARITIES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "relu": lambda z, _: z.relu(),
    "exp": _exp,
    "sigmoid": lambda z, _: z.sigmoid(),
    "softmax": lambda z, mask: _exp(z.log_softmax(dim=-1), mask),  # over classes, ATT equation 28
    "nin": lambda z, _: z.sigmoid(),
}
