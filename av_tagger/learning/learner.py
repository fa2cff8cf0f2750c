"""The learner: network, loss, optimiser, schedule and averaged weights, built from a recipe."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from av_tagger.audio.architecture import EarArchitecture
from av_tagger.audio.base import Heard, Loss
from av_tagger.audio.losses import LOSSES, inverse_frequency
from av_tagger.audio.network import MilNetwork, build_network
from av_tagger.errors import UsageError, did_you_mean
from av_tagger.learning.data.bags import Bags, EmbeddingBags
from av_tagger.learning.data.balance import class_counts, generator
from av_tagger.learning.data.batches import Batch
from av_tagger.learning.data.training import TrainingData
from av_tagger.learning.distil import Student
from av_tagger.learning.distributed import ProcessGroup
from av_tagger.learning.optimise import Averaged, LearningRate, make_learning_rate, make_optimiser
from av_tagger.learning.recipe import LossChoice, Recipe


@dataclass(frozen=True)
class Learner:
    """Everything that changes in training, with one state to save."""

    architecture: EarArchitecture
    student: Student
    loss: Loss
    optimiser: torch.optim.Optimizer
    learning_rate: LearningRate
    averaged: Averaged | None
    scaler: torch.amp.GradScaler  # disabled unless training is in float16

    @property
    def network(self) -> MilNetwork:
        return self.student.ear

    def state_dict(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _parts(self) -> dict[str, Any]:
        parts: dict[str, Any] = {
            "network": self.network,
            "teacher_head": self.student.teacher_head,
            "optimiser": self.optimiser,
            "learning_rate": self.learning_rate,
            "scaler": self.scaler,
            "averaged": self.averaged,
        }
        return {name: part for name, part in parts.items() if part is not None}

    def kept(self) -> MilNetwork:
        """A copy of the network to validate and save, with averaged weights where there are any."""
        network = copy.deepcopy(self.network)
        if self.averaged is not None:
            network.load_state_dict(self.averaged.values)
        return network.eval()


def make_learner(recipe: Recipe, data: TrainingData, group: ProcessGroup, steps: int) -> Learner:
    """A new learner; the same seed gives the same initial weights on every machine."""
    training = data.training
    if training.kind != recipe.data:
        raise UsageError(
            f"recipe {recipe.name} trains on {recipe.data}, but the data are {training.kind};"
            " choose another recipe or other data"
        )
    torch.manual_seed(int(generator(recipe.seed, 20).integers(2**62)))
    architecture = _fitted(architecture_of(recipe, len(training.labels)), training)
    network = build_network(architecture)
    if recipe.normalise_clips:
        count = recipe.normalise_clips
        network.normalise.set(*band_statistics(network, training, count, recipe.seed))
    if group.size > 1 and group.device.type == "cuda":
        network = torch.nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    distils = data.teacher is not None and recipe.teacher.weight > 0
    student = Student(network, data.teacher.scores.shape[1] if data.teacher and distils else 0)
    student.to(group.device)
    return Learner(
        architecture,
        student,
        make_loss(recipe.loss, training),
        make_optimiser(student.parameters(), recipe.optimiser),
        make_learning_rate(
            recipe.schedule, steps, recipe.length.steps_per_epoch(len(training), recipe.batch)
        ),
        Averaged(network, recipe.keep.ema) if recipe.keep.ema else None,
        torch.amp.GradScaler(group.device.type, enabled=group.dtype == torch.float16),
    )


def architecture_of(recipe: Recipe, classes: int) -> EarArchitecture:
    return EarArchitecture.from_table(
        {"classes": classes, **recipe.architecture}, f"recipe {recipe.name}: architecture"
    )


def _fitted(architecture: EarArchitecture, training: Bags) -> EarArchitecture:
    """The architecture, its first layer as wide as the embeddings of the data."""
    if not isinstance(training, EmbeddingBags) or architecture.frontend is not None:
        return architecture
    shape = architecture.shape
    bands = training.rows.shape[1] // shape.channels
    return replace(architecture, features=replace(shape, bands=bands))


def parameters(recipe: Recipe, classes: int | None = None) -> int:
    """The number of trainable parameters; no memory is allocated."""
    with torch.device("meta"):
        network = build_network(architecture_of(recipe, classes or recipe.about.classes))
    return sum(p.numel() for p in network.parameters())


def features_of(network: MilNetwork, batch: Batch) -> tuple[Tensor, Tensor]:
    """Features (b, channels, frames, bands), and the number of frames without padding, (b,)."""
    if network.frontend is None:
        return batch.inputs.float().unsqueeze(1), batch.lengths
    frames = torch.clamp(-(-batch.lengths // network.frontend.settings.hop), min=1)
    return network.features(batch.inputs), frames


def loss_of(loss: Loss, heard: Heard, targets: Tensor) -> Tensor:
    """Masked loss: an unknown label (NaN) is replaced by the prediction: its gradient is zero."""
    scores = heard.bags.float()
    # A mean of ones can exceed one by rounding, which cross-entropy does not accept.
    bags = scores.nan_to_num(0.5).clamp(0, 1)
    known = torch.where(targets.isnan(), bags.detach(), targets)
    return loss(replace(heard, bags=bags), known) + 0 * scores.sum()  # NaN scores: loss is NaN


def make_loss(choice: LossChoice, training: Bags) -> Loss:
    settings = dict(choice.bag_settings)
    if choice.class_weights != "none":
        settings["weights"] = inverse_frequency(class_counts(training.targets).tolist())
    bag = _loss(choice.bag, settings)
    if not choice.instance:
        return bag
    instance, share = _loss(choice.instance, choice.instance_settings), choice.instance_weight
    return lambda heard, targets: bag(heard, targets) + share * instance(heard, targets)


def band_statistics(
    network: MilNetwork, bags: Bags, count: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each band over the frames of `count` random bags."""
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
