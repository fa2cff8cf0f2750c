"""Distillation: the student with its teacher head, the loss, and training with a teacher."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from av_tagger.audio.architecture import EarArchitecture
from av_tagger.audio.checkpoint import load_checkpoint
from av_tagger.audio.network import MilNetwork, build_network
from av_tagger.errors import UsageError
from av_tagger.labels import ClassList
from av_tagger.learning.data.bags import WaveformBags
from av_tagger.learning.data.batches import Sampling, TrainingBatches
from av_tagger.learning.data.teacher import TeacherChoice, TeacherTargets
from av_tagger.learning.data.training import TrainingData
from av_tagger.learning.distil import Student, distillation_loss
from av_tagger.learning.distributed import ProcessGroup
from av_tagger.learning.learner import make_learner
from av_tagger.learning.prepare import Sources, read_data
from av_tagger.learning.recipe import Recipe, read_recipe
from av_tagger.learning.run import TrainingOptions
from av_tagger.learning.train import train

CPU = TrainingOptions(device="cpu", log_steps=1)
MakeBags = Callable[..., WaveformBags]
Tiny = Callable[..., Recipe]


def small_network() -> MilNetwork:
    torch.manual_seed(0)
    settings = {"channels": [4], "pools": [[5, 15]], "units": 4}
    return build_network(EarArchitecture(2, extractor_settings=settings)).eval()


def teacher_of(bags: WaveformBags, trust: float = 1.0) -> TeacherTargets:
    """A teacher that knows the labels, and five further classes of its own."""
    known = np.where(bags.targets > 0, 0.9, 0.05).astype(np.float32)
    scores = np.concatenate([known, 1 - known], axis=1).astype(np.float16)
    return TeacherTargets("a teacher", scores, known, trust)


def test_without_a_teacher_there_is_no_second_head() -> None:
    student = Student(small_network())
    heard, guesses = student(torch.randn(2, 1, 20, 60), torch.tensor([20, 20]))
    assert heard.bags.shape == (2, 2)
    assert guesses is None
    assert list(dict(student.named_children())) == ["ear"]


def test_the_teacher_head_ignores_padding() -> None:
    student = Student(small_network(), teacher_classes=7).eval()
    features = torch.randn(1, 1, 20, 60)
    padded = torch.cat([features, torch.full((1, 1, 20, 60), 9.0)], dim=2)
    _, alone = student(features, torch.tensor([20]))
    _, longer = student(padded, torch.tensor([20]))
    assert alone.shape == (1, 7)
    torch.testing.assert_close(alone, longer)


def test_the_loss_is_cross_entropy_summed_over_the_teacher_s_classes() -> None:
    logits = torch.tensor([[0.0, 2.0], [-1.0, 0.5]], requires_grad=True)
    scores = torch.tensor([[0.5, 0.9], [0.1, 0.6]])
    p = torch.sigmoid(logits.detach())
    by_hand = -(scores * p.log() + (1 - scores) * (1 - p).log()).sum(dim=1).mean()
    loss = distillation_loss(logits, scores)
    assert float(loss.detach()) == pytest.approx(float(by_hand))
    loss.backward()
    torch.testing.assert_close(logits.grad, (p - scores) / 2)


def test_batches_carry_the_teacher_s_scores_and_softened_labels(make_bags: MakeBags) -> None:
    bags = make_bags([("low",), ("deep",), ()])
    batches = TrainingBatches(bags, Sampling(3), teacher=teacher_of(bags, trust=0.6))
    batch, chosen = batches[0], batches.chosen(0)
    assert batch.teacher is not None
    assert batch.teacher.shape == (3, 10)
    expected = np.where(bags.targets[chosen] > 0, 0.6 + 0.4 * 0.9, 0.4 * 0.05)
    np.testing.assert_allclose(batch.targets.numpy(), expected, rtol=1e-6)
    assert TrainingBatches(bags, Sampling(3))[0].teacher is None


def test_mixup_mixes_the_teacher_s_scores_like_labels(make_bags: MakeBags, tiny: Tiny) -> None:
    bags = make_bags([("low",), ("deep",), ("high",), ()])
    augment = replace(tiny("starter").augment, mixup_alpha=0.4, mixup_labels="union", gain_db=0.0)
    plain = TrainingBatches(bags, Sampling(4), augment, teacher=teacher_of(bags))[0]
    assert plain.teacher is not None
    low, high = plain.teacher[:, :5], plain.targets
    assert bool(((low > 0.5) == (high > 0.5)).all())  # the union of both, in both
    assert float(plain.teacher.max()) <= 1


def test_the_head_learns_the_teacher_and_is_not_saved(
    make_bags: MakeBags, tiny: Tiny, tmp_path: Path
) -> None:
    bags = make_bags([("low",), ("shrill",), ()] * 4)
    data = TrainingData(bags, bags, teacher=teacher_of(bags))
    length = ("length.epochs=3", "length.epoch_steps=10")
    fast = ("optimiser.lr=0.02", "schedule.name=none")
    recipe = tiny("starter", *length, *fast, "augment={}", "teacher.weight=1.0")
    records: list[Mapping[str, Any]] = []
    train(recipe, data, tmp_path / "run", CPU, records.append)
    losses = [r["loss"] for r in records if r["kind"] == "step"]
    assert losses[-1] < 0.5 * losses[0]
    network, _ = load_checkpoint(tmp_path / "run" / "best.safetensors")
    assert not any("teacher" in name for name in network.state_dict())
    state = torch.load(tmp_path / "run" / "state.pt", weights_only=True)["learner"]
    assert state["teacher_head"]["weight"].shape[0] == 10


@pytest.mark.parametrize(("weight", "expected"), [(0.0, False), (0.05, True)])
def test_the_second_head_exists_only_with_a_weight(
    make_bags: MakeBags, tiny: Tiny, weight: float, expected: bool
) -> None:
    bags = make_bags([("low",), ()])
    recipe = tiny("starter", f"teacher.weight={weight}")
    data = TrainingData(bags, bags, teacher=teacher_of(bags))
    learner = make_learner(recipe, data, ProcessGroup(torch.device("cpu")), 1)
    assert (learner.student.teacher_head is not None) == expected
    assert ("teacher_head" in learner.state_dict()) == expected


def test_a_teacher_needs_a_recipe_on_waveforms(tmp_path: Path, classes: ClassList) -> None:
    recipe = replace(read_recipe("own-classes"), teacher=TeacherChoice("efficientat:mn04"))
    with pytest.raises(UsageError, match="a teacher needs a recipe on waveforms"):
        read_data(Sources((tmp_path,)), classes, recipe)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("teacher.trust=1.5", "trust lies between 0 and 1"),
        ("teacher.weight=-1.0", "weight is not negative"),
        ("teacher.typical={low=0.0}", "typical scores lie between 0 and 1"),
        ("teacher.eer=x", "did you mean 'ear'"),
    ],
)
def test_wrong_settings_of_a_teacher_are_refused(setting: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_recipe("starter", [setting])
