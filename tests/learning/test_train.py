from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from av_tagger.audio.architecture import EarArchitecture
from av_tagger.audio.checkpoint import load_checkpoint
from av_tagger.audio.ears import load_ear
from av_tagger.audio.network import build_network
from av_tagger.clip import Waveform
from av_tagger.errors import MissingExtra, StorageError, UsageError, WeightsError
from av_tagger.learning.data.bags import EmbeddingBags, WaveformBags
from av_tagger.learning.data.teacher import TeacherTargets
from av_tagger.learning.data.training import TrainingData
from av_tagger.learning.learner import loss_of, make_loss
from av_tagger.learning.recipe import LossChoice, Recipe, read_recipe
from av_tagger.learning.run import TrainingOptions
from av_tagger.learning.train import train
from tests.learning.tones import TONES

MakeBags = Callable[..., WaveformBags]
Tiny = Callable[..., Recipe]

CPU = TrainingOptions(device="cpu", log_steps=1)
PLAIN = (
    "augment={}",
    "keep.ema=0.0",
    "schedule.name=none",
    "optimiser.lr=0.01",
    "architecture.extractor_settings.dropout=0.0",
)
TWO_CHECKPOINTS = ("length.iterations=2", "length.epoch_steps=1", "keep.average=[1,2]")
LONGER = ("length.epochs=24", "length.epoch_steps=25")
SHORT = ("length.epochs=2", "length.epoch_steps=3")


@pytest.fixture
def pair(make_bags: MakeBags, tunes: Callable[[int, int], list[tuple[str, ...]]]) -> TrainingData:
    """A little to learn from, a little to validate on."""
    return TrainingData(make_bags(tunes(20, 1), 1), make_bags(tunes(12, 2), 2))


def test_two_clips_are_overfitted(make_bags: MakeBags, tiny: Tiny, tmp_path: Path) -> None:
    bags = make_bags([("low", "shrill"), ("middle",)])
    recipe = tiny(
        "crnn-modern", *PLAIN, "batch=2", "balance=none", "length.epochs=1", "length.epoch_steps=50"
    )
    outcome = train(recipe, TrainingData(bags, bags), tmp_path / "run", CPU)
    assert outcome.validation.micro_f1 == 1.0
    assert outcome.validation.loss < 0.1
    assert outcome.validation.average_precision[0] == 1.0


def test_five_tones_are_learnt_and_the_ear_scores_as_in_validation(
    make_bags: MakeBags,
    tunes: Callable[[int, int], list[tuple[str, ...]]],
    tiny: Tiny,
    tmp_path: Path,
) -> None:
    data = TrainingData(make_bags(tunes(96, 1), 1), make_bags(tunes(40, 2), 2))
    recipe = tiny(
        "crnn-modern",
        *PLAIN,
        "batch=16",
        "balance=batch",
        "length.epochs=10",
        "augment.shift_seconds=0.5",
    )
    outcome = train(recipe, data, tmp_path / "run", CPU)
    assert outcome.validation.micro_f1 > 0.8

    ear = load_ear(str(tmp_path / "run"), "cpu")
    wave = data.validation.fetch(np.arange(1), None)[0][0]
    (heard,) = ear.hear([Waveform(wave, ear.rate)])
    stored = np.load(tmp_path / "run" / "validation.npz")
    assert heard.labels == tuple(stored["labels"]) == data.training.labels
    assert heard.probabilities == pytest.approx(stored["scores"][0], abs=1e-3)


def read_log(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


class Kill(Exception):
    """Ends a run in the middle of an epoch."""


@pytest.mark.parametrize("name", ["crnn-av", "crnn-modern", "starter"])
def test_a_killed_and_resumed_run_equals_an_uninterrupted_one(
    name: str, pair: TrainingData, tiny: Tiny, tmp_path: Path
) -> None:
    """Dropout, averaged weights, momentum, schedule, teacher head, half epochs: bit for bit."""
    length = ("length.epochs=3", "length.epoch_steps=4")
    recipe = tiny(name, *length, "optimiser.clip=1.0", "schedule.patience=1")
    assert isinstance(pair.training, WaveformBags)
    teacher = random_teacher(pair.training) if recipe.teacher.ear else None
    data = replace(pair, background=pair.training, teacher=teacher)
    options = replace(CPU, save_steps=3)
    whole = train(recipe, data, tmp_path / "whole", options)
    # After an epoch, at the end of one before its validation, between two saved states:
    for step in (4, 8, 11):
        _killed_at(step, recipe, data, tmp_path / "cut", options)
    resumed = train(recipe, data, tmp_path / "cut", replace(options, resume=True))
    assert resumed.validation == whole.validation
    best = [load_checkpoint(tmp_path / run / "best.safetensors") for run in ("whole", "cut")]
    assert best[0][1] == best[1][1]
    assert _flat(best[0][0].state_dict()) == _flat(best[1][0].state_dict())
    ends = [
        torch.load(tmp_path / run / "state.pt", weights_only=True)["learner"]
        for run in ("whole", "cut")
    ]
    assert _flat(ends[0]) == _flat(ends[1])
    assert read_log(tmp_path / "cut") == read_log(tmp_path / "whole")


def random_teacher(bags: WaveformBags) -> TeacherTargets:
    draw = np.random.default_rng(0)
    scores = draw.random((len(bags), 7)).astype(np.float16)
    return TeacherTargets("a teacher", scores, scores[:, :5].astype(np.float32), trust=0.6)


def _killed_at(
    step: int, recipe: Recipe, data: TrainingData, run: Path, options: TrainingOptions
) -> None:
    def watch(record: Mapping[str, Any]) -> None:
        if record["kind"] == "step" and record["step"] == step:
            raise Kill

    with pytest.raises(Kill):
        train(recipe, data, run, replace(options, resume=True), watch)


def _flat(tree: Any) -> list[Any]:
    if isinstance(tree, torch.Tensor):
        return tree.tolist()  # type: ignore[no-any-return]
    if isinstance(tree, dict):
        return [(key, _flat(value)) for key, value in tree.items()]
    return [_flat(value) for value in tree] if isinstance(tree, list | tuple) else [tree]


def test_resuming_needs_the_same_recipe_and_data(
    pair: TrainingData, tiny: Tiny, tmp_path: Path, make_bags: MakeBags
) -> None:
    recipe = tiny("crnn-modern", "length.epochs=1", "length.epoch_steps=1")
    run = tmp_path / "run"
    train(recipe, pair, run, CPU)
    with pytest.raises(UsageError, match="already holds a run"):
        train(recipe, pair, run, CPU)
    again = replace(CPU, resume=True)
    with pytest.raises(UsageError, match="the recipe of this run changed"):
        train(replace(recipe, seed=1), pair, run, again)
    with pytest.raises(UsageError, match="the training data of this run changed"):
        train(recipe, replace(pair, training=make_bags([("low",)] * 8, 5)), run, again)
    (run / "state.pt").write_bytes(b"not a state")
    with pytest.raises(StorageError, match="cannot be read"):
        train(recipe, pair, run, again)


def test_under_max_pooling_only_the_highest_instance_gets_a_gradient() -> None:
    torch.manual_seed(0)
    network = build_network(
        EarArchitecture(
            3, extractor_settings={"channels": [4], "pools": [[5, 15]], "units": 4}, pooling="max"
        )
    ).eval()
    heard = network(torch.randn(2, 1, 50, 60))
    heard.instances.retain_grad()
    targets = torch.tensor([[1.0, 0.0, float("nan")], [0.0, 1.0, 1.0]])
    loss_of(make_loss(LossChoice(), _labelled(np.eye(3))), heard, targets).backward()
    gradient = heard.instances.grad
    assert gradient is not None
    loudest = torch.nn.functional.one_hot(heard.instances.argmax(dim=1), 10).transpose(1, 2).bool()
    assert bool((gradient[~loudest] == 0).all())
    touched = (gradient != 0).sum(dim=1)
    assert touched.tolist() == [[1, 1, 0], [1, 1, 1]]  # none where the label is unknown


def _labelled(targets: np.ndarray) -> EmbeddingBags:
    n, classes = targets.shape
    return EmbeddingBags(
        np.zeros((n, 4), np.uint8),
        np.arange(n + 1),
        targets.astype(np.float32),
        tuple(f"c{k}" for k in range(classes)),
    )


def test_class_weights_come_from_the_training_data() -> None:
    bags = _labelled(np.array([[1, 0], [1, 0], [1, 0], [0, 1]]))
    loss = make_loss(LossChoice(bag="class-weighted", class_weights="inverse-frequency"), bags)
    assert loss.weights.tolist() == pytest.approx([0.5, 1.5])  # type: ignore[attr-defined] # 1/3 and 1, scaled to a mean of one
    with pytest.raises(UsageError, match="did you mean 'bce'"):
        make_loss(LossChoice(bag="bcee"), bags)
    with pytest.raises(UsageError, match="cannot be made"):
        make_loss(LossChoice(bag_settings={"alpha": 1}), bags)


def test_a_loss_on_instances_is_added_to_that_on_bags() -> None:
    network = build_network(
        EarArchitecture(2, extractor_settings={"channels": [4], "pools": [[5, 15]], "units": 4})
    ).eval()
    heard, targets = network(torch.randn(1, 1, 20, 60)), torch.tensor([[1.0, 0.0]])
    bags = _labelled(np.eye(2))
    alone = loss_of(make_loss(LossChoice(), bags), heard, targets)
    both = loss_of(make_loss(LossChoice(instance="bce", instance_weight=0.5), bags), heard, targets)
    assert float(both.detach()) == pytest.approx(1.5 * float(alone.detach()))


def test_classes_without_clips_are_warned_about(
    make_bags: MakeBags, tiny: Tiny, tmp_path: Path
) -> None:
    data = TrainingData(
        make_bags([("low",), ("deep",), ("high",), ()] * 2, 1),
        make_bags([("low",), ("high",), ()], 2),
    )
    records: list[Mapping[str, Any]] = []
    train(tiny("crnn-modern", *SHORT), data, tmp_path / "run", CPU, records.append)
    warnings = [str(r["text"]) for r in records if r["kind"] == "warning"]
    assert [w.split("'")[1] for w in warnings] == ["middle", "shrill", "deep"]
    assert "no training clip" in warnings[0]
    assert "no validation clip" in warnings[2]
    thresholds = load_checkpoint(tmp_path / "run" / "best.safetensors")[1].thresholds.ear
    assert thresholds[1] == 0.5  # learnt, but there was nothing to tune on
    assert thresholds[2] > 1  # never learnt: never tagged


def test_the_card_has_data_recipe_versions_and_results(
    pair: TrainingData, tiny: Tiny, tmp_path: Path
) -> None:
    data = replace(pair, origin="av-tag train tiny", notes=("a note",))
    outcome = train(tiny("crnn-av", *SHORT, "seed=3"), data, tmp_path / "run", CPU)
    card = json.loads((tmp_path / "run" / "card.json").read_text())
    assert card["data"]["training"] == {
        "sha256": pair.training.sha256,
        "clips": 20,
        "skipped": {},
        "skipped_files": [],
    }
    assert (card["seed"], card["steps"], card["origin"]) == (3, 6, "av-tag train tiny")
    assert card["recipe"]["optimiser"]["clip"] == 1e-3
    assert (
        card["versions"]["torch"].split("+")[0] == str(torch.__version__).split("+", maxsplit=1)[0]
    )
    assert [c["threshold"] for c in card["classes"]] == list(outcome.validation.thresholds)
    assert card["figures"]["micro_f1"] == outcome.validation.micro_f1
    words = (tmp_path / "run" / "card.md").read_text()
    assert pair.training.sha256 in words
    assert "a note" in words
    assert "| shrill |" in words


def test_training_stops_early_without_improvement(
    pair: TrainingData, tiny: Tiny, tmp_path: Path
) -> None:
    recipe = tiny(
        "crnn-av",
        "optimiser.lr=1e-12",
        "length.epochs=50",
        "length.epoch_steps=1",
        "length.patience=2",
        "keep.metric=map",
    )
    recipe.architecture["extractor_settings"]["batch_norm"] = False  # running means would change
    outcome = train(recipe, pair, tmp_path / "run", CPU)
    assert outcome.steps == 3


def test_a_diverged_run_is_an_error_with_advice(
    pair: TrainingData, tiny: Tiny, tmp_path: Path
) -> None:
    recipe = tiny(
        "crnn-av",
        "optimiser.lr=1e14",
        "optimiser.weight_decay=1.0",
        "optimiser.clip=0.0",
        "length.epochs=1",
        "length.epoch_steps=9",
    )
    recipe.architecture["extractor_settings"]["batch_norm"] = False  # it would rescale anything
    with pytest.raises(UsageError, match=r"lower --set optimiser\.lr"):
        train(recipe, pair, tmp_path / "run", CPU)


def test_checkpoints_are_kept_and_their_predictions_averaged(
    pair: TrainingData, tiny: Tiny, tmp_path: Path
) -> None:
    recipe = tiny(
        "crnn-modern", "length.iterations=5", "length.epoch_steps=4", "keep.average=[2, 5]"
    )
    train(recipe, pair, tmp_path / "run", CPU)
    folder = tmp_path / "run" / "checkpoints"
    assert sorted(f.name for f in folder.iterdir()) == [
        f"step-000000{n}.{end}" for n in (2, 5) for end in ("npy", "safetensors")
    ]
    card = json.loads((tmp_path / "run" / "card.json").read_text())
    assert card["averaged"] == 2
    assert card["steps"] == 5
    scores = [np.load(folder / f"step-000000{n}.npy") for n in (2, 5)]
    stored = np.load(tmp_path / "run" / "validation.npz")["scores"]
    np.testing.assert_allclose(stored, np.mean(scores, axis=0), rtol=1e-6)
    assert "mean prediction of 2 checkpoints" in (tmp_path / "run" / "card.md").read_text()
    assert {"mauc", "d_prime", "map"} <= card["figures"].keys()

    ear = load_ear(str(tmp_path / "run"), "cpu")  # the averaged prediction is the ear
    wave = pair.validation.fetch(np.arange(1), None)[0][0]
    (heard,) = ear.hear([Waveform(wave, ear.rate)])
    assert heard.probabilities == pytest.approx(stored[0], abs=1e-3)
    assert ear.info.model == "mean of 2 networks"


def test_crnn_av_learns_five_tones_by_its_own_settings(
    make_bags: MakeBags, tiny: Tiny, tmp_path: Path
) -> None:
    """Sizes and length apart. Clipped by the norm of the whole gradient it does not get there."""
    pairs = [tuple({a, b}) for a in TONES for b in TONES]
    data = TrainingData(make_bags(pairs * 4, 1), make_bags(pairs * 2, 2))
    scores = {}
    for kind in ("value", "norm"):
        recipe = tiny("crnn-av", f"optimiser.clip_by={kind}", *LONGER)
        scores[kind] = train(recipe, data, tmp_path / kind, CPU).validation.micro_f1
    assert recipe.optimiser.clip == read_recipe("crnn-av").optimiser.clip
    assert read_recipe("crnn-av").optimiser.clip_by == "value"
    assert scores["value"] > 0.8
    assert scores["norm"] < scores["value"] - 0.2


def test_a_missing_checkpoint_is_one_sentence(
    pair: TrainingData, tiny: Tiny, tmp_path: Path
) -> None:
    recipe = tiny("crnn-modern", *TWO_CHECKPOINTS)
    train(recipe, pair, tmp_path / "run", CPU)
    missing = tmp_path / "run" / "checkpoints" / "step-0000001.safetensors"
    missing.unlink()
    with pytest.raises(WeightsError, match=r"its member .*step-0000001\.safetensors is missing"):
        load_ear(str(tmp_path / "run"), "cpu")
    best = load_ear(str(tmp_path / "run" / "best.safetensors"), "cpu")
    assert best.labels == pair.training.labels


def test_a_run_that_lost_a_checkpoint_cannot_be_averaged(
    pair: TrainingData, tiny: Tiny, tmp_path: Path
) -> None:
    recipe = tiny("crnn-modern", *TWO_CHECKPOINTS)

    def lose(record: Mapping[str, Any]) -> None:
        if record["kind"] == "epoch" and record["step"] == 2:
            (tmp_path / "run" / "checkpoints" / "step-0000001.npy").unlink()

    with pytest.raises(StorageError, match="is missing, so that the mean prediction"):
        train(recipe, pair, tmp_path / "run", CPU, lose)


def test_training_on_embeddings(tiny: Tiny, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    targets = np.eye(2, dtype=np.float32)[draw.integers(0, 2, 40)]
    rows = (
        draw.integers(0, 60, (40, 5, 8))
        + 150 * targets.repeat(4, axis=1)[:, None] * (np.arange(5) == 2)[:, None]
    ).astype(np.uint8)
    bags = EmbeddingBags(rows.reshape(200, 8), np.arange(41) * 5, targets, ("left", "right"))
    settings = {"channels": [8], "pools": [[1, 2]], "units": 4, "dropout": 0.0}
    ear = {"features": {"channels": 1, "bands": 8, "rate": 1.0}, "extractor_settings": settings}
    recipe = replace(
        tiny("crnn-modern", *PLAIN, "length.epochs=3", "length.epoch_steps=20"),
        data="embeddings",
        architecture=ear,
    )
    assert train(recipe, TrainingData(bags, bags), tmp_path / "run", CPU).validation.micro_f1 > 0.95


def test_recipe_and_data_must_be_of_one_kind(tiny: Tiny, tmp_path: Path) -> None:
    bags = _labelled(np.eye(2))
    with pytest.raises(UsageError, match="trains on waveform, but the data are embeddings"):
        train(tiny("crnn-av"), TrainingData(bags, bags), tmp_path / "run", CPU)


def test_data_without_positive_clips_are_refused(make_bags: MakeBags) -> None:
    with pytest.raises(UsageError, match="no training clip has any of the classes"):
        TrainingData(make_bags([()]), make_bags([("low",)], 2))
    with pytest.raises(UsageError, match="different classes"):
        TrainingData(_labelled(np.eye(2)), _labelled(np.eye(3)))


def test_tensorboard_is_an_extra(
    pair: TrainingData, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtra, match="--tensorboard needs tensorboard"):
        train(tiny("crnn-av", *SHORT), pair, tmp_path / "run", replace(CPU, tensorboard=True))


def test_float16_needs_a_gpu(pair: TrainingData, tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="float16 training needs a CUDA device"):
        train(tiny("crnn-av"), pair, tmp_path / "run", replace(CPU, precision="float16"))


def test_bfloat16_gives_nearly_the_losses_of_float32(
    pair: TrainingData, tiny: Tiny, tmp_path: Path
) -> None:
    recipe = tiny("crnn-modern", *PLAIN, *SHORT)
    losses = []
    for precision in ("float32", "bfloat16"):
        train(recipe, pair, tmp_path / precision, replace(CPU, precision=precision))
        losses.append([r["loss"] for r in read_log(tmp_path / precision) if r["kind"] == "step"])
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
