"""The training loop: draw a batch, forward, loss, step; validate and save after every epoch."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from av_tagger.audio.bag_assumptions import assumed
from av_tagger.audio.checkpoint import save_checkpoint
from av_tagger.audio.header import EarThresholds, Header
from av_tagger.audio.network import MilNetwork
from av_tagger.errors import UsageError
from av_tagger.learning.averaging import average_checkpoints
from av_tagger.learning.card import write_card
from av_tagger.learning.data.augment import augment_features
from av_tagger.learning.data.bags import WaveformBags
from av_tagger.learning.data.balance import generator
from av_tagger.learning.data.batches import Sampling, TrainingBatches, WholeBags, loaded
from av_tagger.learning.data.training import TrainingData
from av_tagger.learning.distil import distillation_loss
from av_tagger.learning.distributed import joined
from av_tagger.learning.initial import start_from
from av_tagger.learning.learner import Learner, features_of, loss_of, make_learner
from av_tagger.learning.optimise import clip_gradients
from av_tagger.learning.recipe import Recipe
from av_tagger.learning.run import (
    Outcome,
    TrainingOptions,
    TrainingProgress,
    TrainingRun,
    Watch,
    identity_of,
)
from av_tagger.learning.run_folder import RunFolder
from av_tagger.learning.run_log import RunLog, ignore
from av_tagger.learning.validation import Probabilities, Validation, validate


def train(
    recipe: Recipe,
    data: TrainingData,
    run: Path,
    options: TrainingOptions = TrainingOptions(),  # noqa: B008 - frozen
    watch: Watch | None = None,
) -> Outcome:
    """Train until the end of the recipe; `run` then holds the best weights, log and card."""
    folder = RunFolder(run)
    with joined(options.device, options.precision) as group:
        if recipe.batch < group.size:
            raise UsageError(
                f"a batch of {recipe.batch} cannot be split among {group.size} processes;"
                " use a larger batch"
            )
        if group.leads:
            folder.open(resume=options.resume)
        group.gather(0)  # a barrier: the folder exists before other processes read it
        steps = recipe.length.total_steps(len(data.training), recipe.batch)
        learner = make_learner(recipe, data, group, steps)
        if options.initial is not None and not options.resume:
            start_from(learner.network, options.initial, data.training.labels)
        same = identity_of(recipe, data)
        at = _resumed(folder, learner, same) if options.resume else TrainingProgress()
        log = RunLog(folder, at.step, options, watch) if group.leads else None
        work = TrainingRun(recipe, data, options, group, folder, learner, log or ignore, same)
        try:
            return _learn(work, at)
        finally:
            if log is not None:
                log.close()


def _learn(run: TrainingRun, at: TrainingProgress) -> Outcome:
    recipe, learner, group, options = run.recipe, run.learner, run.group, run.options
    data, teacher = run.data, run.data.teacher
    draw = Sampling(recipe.batch, recipe.balance, recipe.seed, group.rank, group.size)
    batches = TrainingBatches(data.training, draw, recipe.augment, data.background, teacher)
    student, lap, pin = group.wrap(learner.student), _stopwatch(), group.device.type == "cuda"
    _warn(run, at)
    while at.step < run.steps and not at.stops_early(recipe.length.patience):
        begin = at.step // run.epoch_steps * run.epoch_steps
        end = min(run.steps, begin + run.epoch_steps)
        losses = torch.tensor(at.losses, device=group.device)
        student.train()
        for drawn in loaded(batches, range(at.step, end), options.workers, pin):
            batch = drawn.to(group.device)
            _set_learning_rate(learner, recipe, at.step)
            torch.manual_seed(_seed(recipe, 22, at.step, group.rank))  # dropout: same when resumed
            with torch.no_grad():  # (b, channels, frames, bands), (b,)
                features, frames = features_of(learner.network, batch)
                if recipe.augment.changes_features:
                    key = generator(recipe.seed, 23, at.step, group.rank)
                    features = augment_features(features, recipe.augment, key)
            with group.autocast():  # bags (b, classes), instances (b, instances, classes)
                heard, guesses = student(features, frames)
            loss = loss_of(learner.loss, heard, batch.targets)
            if guesses is not None:
                loss = loss + recipe.teacher.weight * distillation_loss(guesses, batch.teacher)
            # Ranks may have different numbers of clips, and gradients are averaged over ranks.
            loss = loss * (len(batch.targets) * group.size / recipe.batch)
            learner.optimiser.zero_grad()
            learner.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            learner.scaler.unscale_(learner.optimiser)
            clip_gradients(learner.student.parameters(), recipe.optimiser)
            learner.scaler.step(learner.optimiser)
            learner.scaler.update()
            if learner.averaged:
                learner.averaged.update(learner.network)
            losses += loss.detach()
            at.step += 1
            if at.step % options.log_steps == 0:
                _log_step(run, at, float(loss.detach()))
            if at.step in recipe.keep.average:
                _keep_checkpoint(run, at.step)
            if at.step % options.save_steps == 0 and at.step < end:  # else after the validation
                at.losses, at.seconds = float(losses), at.seconds + lap()
                _save(run, at)
        _end_epoch(run, at, group.total(losses) / group.size / (end - begin))
        at.losses, at.seconds = 0.0, at.seconds + lap()
        _save(run, at)
    return _finish(run, at)


def _end_epoch(run: TrainingRun, at: TrainingProgress, training_loss: float) -> None:
    """Validate, tune thresholds (AV §3.3), and keep the weights if they are the best so far."""
    network = run.learner.kept()
    scores, validation = validated(run, network)
    run.learner.learning_rate.validated(validation.loss)
    value = validation.figure(run.recipe.keep.metric)
    better = value > at.best
    at.waited = 0 if better else at.waited + 1
    if better:
        at.best, at.best_step, at.validation = value, at.step, asdict(validation)
        if run.group.leads:
            save_checkpoint(run.folder.best, network, header(run, validation, at.step))
            run.folder.save_scores(scores, run.data.validation)
    run.record(
        {
            "kind": "epoch",
            "step": at.step,
            "steps": run.steps,
            "epoch": -(-at.step // run.epoch_steps),
            "best": better,
            "loss": training_loss,
            "valid_loss": validation.loss,
            "micro_f1": validation.micro_f1,
            "macro_f1": validation.macro_f1,
            "map": validation.map,
            "accuracy": validation.accuracy,
        }
    )


def validated(run: TrainingRun, network: MilNetwork) -> tuple[Probabilities, Validation]:
    """Scores of the validation data, and their metrics at tuned thresholds."""
    scores, loss = _score_all(run, network)
    keep, targets = run.recipe.keep, run.data.validation.targets
    return scores, validate(scores, targets, loss, keep.thresholds, run.recipe.seed)


@torch.inference_mode()
def _score_all(run: TrainingRun, network: MilNetwork) -> tuple[Probabilities, float]:
    """Scores of every validation bag and the mean loss; each process takes its share."""
    bags, group = run.data.validation, run.group
    longest = int(bags.lengths.max())
    if isinstance(bags, WaveformBags):
        longest = round(run.recipe.crop_seconds * bags.store.rate)
    whole = WholeBags(bags, run.recipe.batch * longest)
    mine, pin = range(group.rank, len(whole), group.size), group.device.type == "cuda"
    parts = []
    for chosen, fetched in loaded(whole, mine, run.options.workers, pin):
        batch = fetched.to(group.device)
        features, frames = features_of(network, batch)
        with group.autocast():
            heard = network(features, frames)
        loss = loss_of(run.learner.loss, heard, batch.targets)
        bags_ = assumed(run.recipe.keep.assumption, heard).float().clamp(0, 1)
        parts.append((chosen, bags_.cpu().numpy(), float(loss)))
    gathered = [part for rank in group.gather(parts) for part in rank]
    scores = np.zeros(bags.targets.shape, np.float32)
    for chosen, values, _ in gathered:
        scores[chosen] = values
    return scores, sum(loss * len(chosen) for chosen, _, loss in gathered) / len(bags)


def header(run: TrainingRun, validation: Validation, step: int) -> Header:
    """The header of the weights file."""
    data = run.data
    thresholds = data.tuned(validation.thresholds)
    return Header(
        name=run.recipe.name,
        architecture=run.learner.architecture,
        labels=data.training.labels,
        ids=data.ids,
        thresholds=EarThresholds(ear=thresholds),
        made=data.origin,
        embedder=data.embedder,
        assumption=run.recipe.keep.assumption,
        notes={
            "micro_f1": validation.micro_f1,
            "map": validation.map,
            "step": step,
            "recipe": run.recipe.fingerprint,
        },
    )


# Small steps of the loop


def _seed(recipe: Recipe, *key: int) -> int:
    return int(generator(recipe.seed, *key).integers(2**62))


def _set_learning_rate(learner: Learner, recipe: Recipe, step: int) -> None:
    for group in learner.optimiser.param_groups:
        group["lr"] = recipe.optimiser.lr * learner.learning_rate.at(step)


def _stopwatch() -> Callable[[], float]:
    """A function that returns the seconds since its last call."""
    last = time.monotonic()

    def lap() -> float:
        nonlocal last
        before, last = last, time.monotonic()
        return last - before

    return lap


def _warn(run: TrainingRun, at: TrainingProgress) -> None:
    if at.step == 0:
        for text in run.data.warnings:
            run.record({"kind": "warning", "step": 0, "text": text})


def _log_step(run: TrainingRun, at: TrainingProgress, loss: float) -> None:
    if not np.isfinite(loss):
        raise UsageError(
            f"training diverged: the loss at step {at.step} is {loss};"
            " start again with a lower --set optimiser.lr=..."
        )
    rate = run.learner.optimiser.param_groups[0]["lr"]
    run.record({"kind": "step", "step": at.step, "steps": run.steps, "loss": loss, "lr": rate})


def _keep_checkpoint(run: TrainingRun, step: int) -> None:
    """Weights and validation scores of a step, to average predictions over checkpoints (ATT)."""
    network = run.learner.kept()
    scores, validation = validated(run, network)
    if run.group.leads:
        save_checkpoint(run.folder.checkpoint(step), network, header(run, validation, step))
        np.save(run.folder.checkpoint(step).with_suffix(".npy"), scores)


def _save(run: TrainingRun, at: TrainingProgress) -> None:
    """Save the state. Batches and dropout need none: they depend on the step alone."""
    if run.group.leads:
        state = {"progress": asdict(at), "learner": run.learner.state_dict()}
        run.folder.save_state({"identity": run.identity, **state})


def _resumed(folder: RunFolder, learner: Learner, identity: dict[str, str]) -> TrainingProgress:
    state = folder.load_state(identity)
    if state is None:
        return TrainingProgress()
    learner.load_state_dict(state["learner"])
    return TrainingProgress(**state["progress"])


def _finish(run: TrainingRun, at: TrainingProgress) -> Outcome:
    validation = Validation(**at.validation)
    if run.group.leads:
        averaged = average_checkpoints(run, at.step)
        write_card(run, at, averaged or validation, validation if averaged else None)
        validation = averaged or validation
    return Outcome(run.folder.path, run.folder.best, at.step, validation)
