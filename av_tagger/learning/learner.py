"""What learns: a network with its loss, optimiser, schedule and averaged weights, built from a recipe, with one state to save."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from av_tagger.audio.losses import LOSSES, inverse_frequency
from av_tagger.audio.network import EarArchitecture, MilNetwork, build_network
from av_tagger.audio.sockets import Heard, Loss
from av_tagger.errors import UsageError, did_you_mean
from av_tagger.learning.data.bags import Bags, EmbeddingBags
from av_tagger.learning.data.balance import class_counts, generator
from av_tagger.learning.data.batches import Batch
from av_tagger.learning.distributed import ProcessGroup
from av_tagger.learning.optimise import Averaged, LearningRate, make_learning_rate, make_optimiser
from av_tagger.learning.recipe import LossChoice, Recipe


@dataclass(frozen=True)
class Learner:
    """All that changes while a run learns."""

    architecture: EarArchitecture
    network: MilNetwork
    loss: Loss
    optimiser: torch.optim.Optimizer
    learning_rate: LearningRate
    averaged: Averaged | None
    scaler: torch.amp.GradScaler  # does nothing unless the run computes in float16

    def state_dict(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _parts(self) -> dict[str, Any]:
        always = {
            "network": self.network,
            "optimiser": self.optimiser,
            "learning_rate": self.learning_rate,
            "scaler": self.scaler,
        }
        parts: dict[str, Any] = always | {"averaged": self.averaged}
        return {name: part for name, part in parts.items() if part is not None}

    def kept(self) -> MilNetwork:
        """The network that is validated and written: with averaged weights where there are any."""
        network = copy.deepcopy(self.network)
        if self.averaged is not None:
            network.load_state_dict(self.averaged.values)
        return network.eval()


def prepare(recipe: Recipe, training: Bags, group: ProcessGroup, steps: int) -> Learner:
    """A fresh learner; the same seed gives the same weights on every machine."""
    if training.kind != recipe.data:
        raise UsageError(
            f"recipe {recipe.name} learns from {recipe.data}, the data are {training.kind}; choose another recipe or data"
        )
    torch.manual_seed(int(generator(recipe.seed, 20).integers(2**62)))
    architecture = _fitted(architecture_of(recipe, len(training.labels)), training)
    network = build_network(architecture)
    if recipe.normalise_clips:
        network.normalise.set(
            *band_statistics(network, training, recipe.normalise_clips, recipe.seed)
        )
    if group.size > 1 and group.device.type == "cuda":
        network = torch.nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    network.to(group.device)
    return Learner(
        architecture,
        network,
        make_loss(recipe.loss, training),
        make_optimiser(network.parameters(), recipe.optimiser),
        make_learning_rate(recipe.schedule, steps),
        Averaged(network, recipe.keep.ema) if recipe.keep.ema else None,
        torch.amp.GradScaler(group.device.type, enabled=group.dtype == torch.float16),
    )


def architecture_of(recipe: Recipe, classes: int) -> EarArchitecture:
    return EarArchitecture.from_table(
        {"classes": classes, **recipe.architecture}, f"recipe {recipe.name}: architecture"
    )


def _fitted(architecture: EarArchitecture, training: Bags) -> EarArchitecture:
    """Embeddings are as wide as the network that made them: the first layer follows."""
    if not isinstance(training, EmbeddingBags) or architecture.frontend is not None:
        return architecture
    shape = architecture.shape
    return replace(
        architecture, features=replace(shape, bands=training.rows.shape[1] // shape.channels)
    )


def parameters(recipe: Recipe, classes: int | None = None) -> int:
    """How many numbers the recipe learns; nothing is allocated."""
    with torch.device("meta"):
        network = build_network(architecture_of(recipe, classes or recipe.about.classes))
    return sum(p.numel() for p in network.parameters())


def features_of(network: MilNetwork, batch: Batch) -> tuple[Tensor, Tensor]:
    """What the network reads, (b, channels, frames, bands), and how many of the frames are real, (b,)."""
    if network.frontend is None:
        return batch.inputs.float().unsqueeze(1), batch.lengths
    frames = torch.clamp(-(-batch.lengths // network.frontend.settings.hop), min=1)
    return network.features(batch.inputs), frames


def loss_of(loss: Loss, heard: Heard, targets: Tensor) -> Tensor:
    """The loss, blind where nobody knows the label: there the answer itself is the target, whose gradient is nothing."""
    said = heard.bags.float()
    bags = said.nan_to_num(0.5).clamp(
        0, 1
    )  # a mean of ones can be one and a rounding error; entropies take nothing else
    wrong = loss(replace(heard, bags=bags), torch.where(targets.isnan(), bags.detach(), targets))
    return (
        wrong + 0 * said.sum()
    )  # what is not a number stays none, to be seen by whoever reads the loss


def make_loss(choice: LossChoice, training: Bags) -> Loss:
    weights = (
        {"weights": inverse_frequency(class_counts(training.targets).tolist())}
        if choice.class_weights != "none"
        else {}
    )
    bag = _loss(choice.bag, choice.bag_settings | weights)
    if not choice.instance:
        return bag
    instance, share = _loss(choice.instance, choice.instance_settings), choice.instance_weight
    return lambda heard, targets: bag(heard, targets) + share * instance(heard, targets)


def band_statistics(
    network: MilNetwork, bags: Bags, count: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each band over the frames of so many bags."""
    chosen = np.sort(generator(seed, 21).permutation(len(bags))[:count])
    first = second = torch.zeros((), dtype=torch.float64)
    frames = 0
    for bag in chosen:
        inputs, lengths = bags.fetch(np.array([bag]), None)
        batch = Batch(torch.from_numpy(inputs), torch.from_numpy(lengths), torch.empty(0))
        features = features_of(network, batch)[0].double()  # (1, channels, frames, bands)
        first = first + features.sum(dim=(0, 2))
        second = second + features.square().sum(dim=(0, 2))
        frames += features.shape[2]
    mean = first / frames
    return mean.float(), (second / frames - mean.square()).clamp(min=0).sqrt().float()


def _loss(name: str, settings: dict[str, Any]) -> Loss:
    if name not in LOSSES:
        raise UsageError(f"there is no loss {name!r}; {did_you_mean(name, LOSSES)}")
    try:
        return LOSSES[name](**settings)
    except (TypeError, ValueError) as error:
        raise UsageError(f"the loss {name!r} cannot be made: {error}") from error
