"""Attention: how much each instance of a bag has to say; non-negative functions, shares along the bag, and poolings of decisions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from av_tagger.audio.norm import VectorNorm
from av_tagger.audio.sockets import ACTIVATIONS, Bag, BagShape, Pooling

TINY = 1e-12  # weights of a bag can all be zero (ReLU): the sum is then kept from dividing by it


@dataclass(frozen=True)
class AttentionSettings:
    nonlinearity: str = "exp"  # phi of PROB and ATT; one of NONLINEARITIES

    def __post_init__(self) -> None:
        check_nonlinearity(self.nonlinearity)


class Attention(Pooling):
    """Decision level, PROB: v = phi(W h + b), p_k(x) = v_k(x) / sum_bag v_k, F_k = sum_x p_k(x) f_k(x)."""

    Settings = AttentionSettings

    def __init__(self, shape: BagShape, settings: AttentionSettings) -> None:
        super().__init__(shape, settings)
        self.look = looking(shape.width, shape.classes, settings.nonlinearity)

    def forward(self, bag: Bag) -> Tensor:
        return weighted(
            bag, attended(self.look(bag.embeddings), bag.mask, self.settings.nonlinearity)
        )


@dataclass(frozen=True)
class MultiLevelSettings:
    nonlinearity: str = "softmax"
    levels: int = (
        2  # the last hidden layers, or as many as there are; ATT §III-B leaves open how many
    )

    def __post_init__(self) -> None:
        check_nonlinearity(self.nonlinearity)
        if self.levels < 1:
            raise ValueError(f"attention is paid to at least one level: {self.levels = }")


class MultiLevel(Pooling):
    """ATT equation 6: an attention module on each of several hidden layers, F(B) = g(F_1(B), ..., F_L(B)); g is a dense layer."""

    Settings = MultiLevelSettings
    wants_levels = True

    def __init__(self, shape: BagShape, settings: MultiLevelSettings) -> None:
        super().__init__(shape, settings)
        widths = (shape.level_widths or (shape.width,))[-settings.levels :]
        self.looks = nn.ModuleList(
            looking(width, shape.classes, settings.nonlinearity) for width in widths
        )
        self.judges = nn.ModuleList(
            nn.Linear(width, shape.classes) for width in widths[:-1]
        )  # the last level has the network's own head
        self.combine = nn.Linear(len(widths) * shape.classes, shape.classes)

    def forward(self, bag: Bag) -> Tensor:
        return self.answers(bag)[0]

    def answers(self, bag: Bag) -> tuple[Tensor, Tensor]:
        levels = (bag.levels or (bag.embeddings,))[-len(self.looks) :]
        squash = ACTIVATIONS[self.shape.activation]
        decisions = [
            squash(score(level).float()) for score, level in zip(self.judges, levels, strict=False)
        ] + [bag.probabilities]
        said = [
            attended(look(level), bag.mask, self.settings.nonlinearity)
            for look, level in zip(self.looks, levels, strict=True)
        ]
        bags = [(shares(v, bag.mask) * f).sum(dim=1) for v, f in zip(said, decisions, strict=True)]
        together, alone = (
            self.combine(torch.cat(bags, dim=-1)),
            self.combine(torch.cat(decisions, dim=-1)),
        )
        return squash(together.float()), squash(alone.float())


@dataclass(frozen=True)
class JdcSettings:
    widths: tuple[int, ...] = (
        512,
    )  # hidden layers of the detecting branch; the classifying one is the extractor
    nonlinearity: str = "sigmoid"
    dropout: float = 0.0
    batch_norm: bool = False  # after each hidden layer, before its ReLU

    def __post_init__(self) -> None:
        check_nonlinearity(self.nonlinearity)


class Jdc(Pooling):
    """Joint detection and classification, ATT figure 2(a): attention has a branch of its own, from the input on."""

    Settings = JdcSettings
    wants_levels = True

    def __init__(self, shape: BagShape, settings: JdcSettings) -> None:
        super().__init__(shape, settings)
        widths = (*(shape.level_widths or (shape.width,))[:1], *settings.widths)
        self.branch = hidden(widths, settings.dropout, settings.batch_norm)
        self.look = looking(widths[-1], shape.classes, settings.nonlinearity)

    def forward(self, bag: Bag) -> Tensor:
        detected = self.look(self.branch((bag.levels or (bag.embeddings,))[0]))
        return weighted(bag, attended(detected, bag.mask, self.settings.nonlinearity))


@dataclass(frozen=True)
class SelfAttentionSettings:
    units: int = 128  # of the hidden layer

    def __post_init__(self) -> None:
        if self.units < 1:
            raise ValueError(f"self-attention has a hidden layer: {self.units = }")


class SelfAttention(Pooling):
    """Structured self-attention (Lin et al., cited by ATT figure 2(b)): exp(w tanh(W h)), one weight an instance for all classes."""

    Settings = SelfAttentionSettings

    def __init__(self, shape: BagShape, settings: SelfAttentionSettings) -> None:
        super().__init__(shape, settings)
        self.look = nn.Sequential(
            nn.Linear(shape.width, settings.units), nn.Tanh(), nn.Linear(settings.units, 1)
        )

    def forward(self, bag: Bag) -> Tensor:
        return weighted(bag, attended(self.look(bag.embeddings), bag.mask, "exp"))


def looking(width: int, outputs: int, nonlinearity: str) -> nn.Module:
    """What a nonlinearity is applied to: W x + b, and for network-in-network (ATT equation 29) two more layers."""
    plain = nn.Linear(width, outputs)
    if nonlinearity != "nin":
        return plain
    return nn.Sequential(plain, nn.Linear(outputs, outputs), nn.ReLU(), nn.Linear(outputs, outputs))


def attended(z: Tensor, mask: Tensor, nonlinearity: str) -> Tensor:
    """Non-negative weights (B, I, outputs) in fp32, up to a factor a bag that the shares cancel."""
    return NONLINEARITIES[nonlinearity](z.float(), mask)


def weighted(bag: Bag, weights: Tensor) -> Tensor:
    """The mean of the instance probabilities under non-negative weights (B, I, classes)."""
    return (shares(weights, bag.mask) * bag.probabilities).sum(dim=1)


def shares(weights: Tensor, mask: Tensor) -> Tensor:
    """Non-negative weights as parts of one along the bag; padding gets none, and a bag without any weight shares evenly."""
    real = mask.unsqueeze(-1).to(weights.dtype)
    masked = weights * real
    total = masked.sum(dim=1, keepdim=True)
    even = real / real.sum(dim=1, keepdim=True)
    return torch.where(total > TINY, masked / total.clamp(min=TINY), even)


def hidden(widths: tuple[int, ...], dropout: float, batch_norm: bool = False) -> nn.Sequential:
    """Dense layers with ReLU from each width to the next."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        norm = [VectorNorm(after)] if batch_norm else []
        layers += [nn.Linear(before, after), *norm, nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers)


def check_nonlinearity(name: Any) -> None:
    if name not in NONLINEARITIES:
        raise ValueError(
            f"an attention's nonlinearity is one of {', '.join(NONLINEARITIES)}: {name!r}"
        )


def _exp(z: Tensor, mask: Tensor) -> Tensor:
    """exp(z) up to a factor of the bag that the shares cancel; the shift keeps it finite."""
    real = z.masked_fill(~mask.unsqueeze(-1), -torch.inf)
    return (real - real.amax(dim=1, keepdim=True).detach()).exp()


NONLINEARITIES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "relu": lambda z, _: z.relu(),
    "exp": _exp,
    "sigmoid": lambda z, _: z.sigmoid(),
    "softmax": lambda z, mask: _exp(
        z.log_softmax(dim=-1), mask
    ),  # over the outputs of one instance, ATT equation 28
    "nin": lambda z, _: z.sigmoid(),
}
