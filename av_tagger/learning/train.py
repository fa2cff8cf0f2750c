"""The training loop, flat: draw, hear, weigh the error, step; after every epoch validate, tune thresholds, keep the best, save."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from av_tagger.audio.checkpoint import EarThresholds, Header, save_checkpoint
from av_tagger.audio.network import MilNetwork
from av_tagger.errors import UsageError
from av_tagger.learning.card import write_card
from av_tagger.learning.data.augment import mask_features
from av_tagger.learning.data.bags import WaveformBags
from av_tagger.learning.data.balance import generator
from av_tagger.learning.data.batches import Sampling, TrainingBatches, WholeBags, loaded
from av_tagger.learning.distributed import ProcessGroup, joined
from av_tagger.learning.learner import Learner, features_of, loss_of, prepare
from av_tagger.learning.optimise import clip_gradients
from av_tagger.learning.recipe import Recipe
from av_tagger.learning.run import Data, Options, Outcome, Progress, TrainingRun, Watch, identity_of
from av_tagger.learning.run_log import Records, nobody
from av_tagger.learning.runfolder import RunFolder
from av_tagger.learning.validation import Probabilities, Validation, validate

NO_EVIDENCE = (
    0.5  # the threshold of a class that was learnt but never occurs in the validation data
)


def train(
    recipe: Recipe,
    data: Data,
    run: Path,
    options: Options = Options(),
    watch: Watch | None = None,  # noqa: B008 - frozen
) -> Outcome:
    """Learn from the training data until the recipe's end; `run` then holds the best weights, the log and the run card."""
    folder = RunFolder(run)
    with joined(options.device, options.precision) as group:
        if recipe.batch < group.size:
            raise UsageError(
                f"a batch of {recipe.batch} cannot be shared among {group.size} processes; make it larger"
            )
        if group.leads:
            folder.open(resume=options.resume)
        group.gather(0)  # nobody reads the folder before it is there
        learner = prepare(
            recipe,
            data.training,
            group,
            recipe.length.total_steps(len(data.training), recipe.batch),
        )
        same = identity_of(recipe, data)
        progress = _resumed(folder, learner, same) if options.resume else Progress()
        if not group.leads:
            return _learn(
                TrainingRun(recipe, data, options, group, folder, learner, nobody, same), progress
            )
        records = Records(folder, progress.step, options, watch)
        try:
            return _learn(
                TrainingRun(recipe, data, options, group, folder, learner, records, same), progress
            )
        finally:
            records.close()


def _learn(run: TrainingRun, at: Progress) -> Outcome:
    recipe, learner, group, options = run.recipe, run.learner, run.group, run.options
    batches = TrainingBatches(
        run.data.training, _draw(recipe, group), recipe.augment, run.data.background
    )
    network, lap = group.wrap(learner.network), _stopwatch()
    _warn(run, at)
    while at.step < run.steps and not at.stops_early(recipe.length.patience):
        begin = at.step // run.epoch_steps * run.epoch_steps
        end = min(run.steps, begin + run.epoch_steps)
        losses = torch.tensor(at.losses, device=group.device)
        network.train()
        for drawn in loaded(
            batches, range(at.step, end), options.workers, pin=group.device.type == "cuda"
        ):
            batch = drawn.to(group.device)
            _set_learning_rate(learner, recipe, at.step)
            torch.manual_seed(
                _seed(recipe, 22, at.step, group.rank)
            )  # dropout depends on the step alone
            with torch.no_grad():
                features, frames = features_of(
                    learner.network, batch
                )  # (b, channels, frames, bands), (b,)
                if recipe.augment.masks_features:
                    features = mask_features(
                        features, recipe.augment, generator(recipe.seed, 23, at.step, group.rank)
                    )
            with group.autocast():
                heard = network(
                    features, frames
                )  # bags (b, classes), instances (b, instances, classes)
            loss = loss_of(learner.loss, heard, batch.targets)
            loss = loss * (
                len(batch.targets) * group.size / recipe.batch
            )  # ranks hold unequal parts of a batch
            learner.optimiser.zero_grad()
            learner.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            learner.scaler.unscale_(learner.optimiser)
            clip_gradients(learner.network.parameters(), recipe.optimiser)
            learner.scaler.step(learner.optimiser)
            learner.scaler.update()
            if learner.averaged:
                learner.averaged.update(learner.network)
            losses += loss.detach()
            at.step += 1
            if at.step % options.log_steps == 0:
                _note_step(run, at, float(loss.detach()))
            if at.step in recipe.keep.average:
                _keep_checkpoint(run, at.step)
            if (
                at.step % options.save_steps == 0 and at.step < end
            ):  # at the end of an epoch the validation comes first
                at.losses, at.seconds = float(losses), at.seconds + lap()
                _save(run, at)
        _epoch_ends(run, at, group.total(losses) / group.size / (end - begin))
        at.losses, at.seconds = 0.0, at.seconds + lap()
        _save(run, at)
    return _finish(run, at)


def _epoch_ends(run: TrainingRun, at: Progress, training_loss: float) -> None:
    """Validate, tune the thresholds (AV §3.3) and keep what is best so far."""
    network = run.learner.kept()
    scores, validation = validated(run, network)
    run.learner.learning_rate.validated(validation.loss)
    better = validation.figure(run.recipe.keep.metric) > at.best
    at.waited = 0 if better else at.waited + 1
    if better:
        at.best, at.best_step, at.validation = (
            validation.figure(run.recipe.keep.metric),
            at.step,
            asdict(validation),
        )
        if run.group.leads:
            save_checkpoint(run.folder.best, network, header(run, validation, at.step))
            run.folder.save_scores(scores, run.data.validation)
    figures = {
        "valid_loss": validation.loss,
        "micro_f1": validation.micro_f1,
        "macro_f1": validation.macro_f1,
        "map": validation.map,
    }
    progress = {
        "step": at.step,
        "steps": run.steps,
        "epoch": -(-at.step // run.epoch_steps),
        "best": better,
    }
    run.record(
        {
            "kind": "epoch",
            **progress,
            "loss": training_loss,
            **figures,
            "accuracy": validation.accuracy,
        }
    )


def validated(run: TrainingRun, network: MilNetwork) -> tuple[Probabilities, Validation]:
    """What a network says of the validation data, and what that is worth with thresholds tuned to it."""
    scores, loss = _hear_all(run, network)
    return scores, validate(
        scores, run.data.validation.targets, loss, run.recipe.keep.thresholds, run.recipe.seed
    )


@torch.inference_mode()
def _hear_all(run: TrainingRun, network: MilNetwork) -> tuple[Probabilities, float]:
    """Probabilities of every validation bag, and the mean loss; each process hears its share."""
    bags, group = run.data.validation, run.group
    longest = (
        round(run.recipe.crop_seconds * bags.store.rate)
        if isinstance(bags, WaveformBags)
        else int(bags.lengths.max())
    )
    whole = WholeBags(bags, run.recipe.batch * longest)
    mine = range(group.rank, len(whole), group.size)
    parts = []
    for chosen, fetched in loaded(
        whole, mine, run.options.workers, pin=group.device.type == "cuda"
    ):
        batch = fetched.to(group.device)
        features, frames = features_of(network, batch)
        with group.autocast():
            heard = network(features, frames)
        loss = loss_of(run.learner.loss, heard, batch.targets)
        parts.append((chosen, heard.bags.float().clamp(0, 1).cpu().numpy(), float(loss)))
    everything = [part for rank in group.gather(parts) for part in rank]
    scores = np.zeros(bags.targets.shape, np.float32)
    for chosen, values, _ in everything:
        scores[chosen] = values
    return scores, sum(loss * len(chosen) for chosen, _, loss in everything) / len(bags)


def header(run: TrainingRun, validation: Validation, step: int) -> Header:
    """What the weights say of themselves."""
    pairs = zip(run.data.training.labels, validation.thresholds, strict=True)
    return Header(
        name=run.recipe.name,
        architecture=run.learner.architecture,
        labels=run.data.training.labels,
        ids=run.data.ids,
        thresholds=EarThresholds(
            ear=tuple(NO_EVIDENCE if label in run.data.unmeasured else t for label, t in pairs)
        ),
        made=run.data.origin,
        embedder=run.data.embedder,
        notes={
            "micro_f1": validation.micro_f1,
            "map": validation.map,
            "step": step,
            "recipe": run.recipe.fingerprint,
        },
    )


# Small steps of the loop


def _draw(recipe: Recipe, group: ProcessGroup) -> Sampling:
    return Sampling(recipe.batch, recipe.balance, recipe.seed, group.rank, group.size)


def _seed(recipe: Recipe, *key: int) -> int:
    return int(generator(recipe.seed, *key).integers(2**62))


def _set_learning_rate(learner: Learner, recipe: Recipe, step: int) -> None:
    for group in learner.optimiser.param_groups:
        group["lr"] = recipe.optimiser.lr * learner.learning_rate.at(step)


def _stopwatch() -> Callable[[], float]:
    """Seconds since it was last asked."""
    last = time.monotonic()

    def lap() -> float:
        nonlocal last
        before, last = last, time.monotonic()
        return last - before

    return lap


def _warn(run: TrainingRun, at: Progress) -> None:
    if at.step == 0:
        for text in run.data.warnings:
            run.record({"kind": "warning", "step": 0, "text": text})


def _note_step(run: TrainingRun, at: Progress, loss: float) -> None:
    if not np.isfinite(loss):
        raise UsageError(
            f"the loss at step {at.step} is {loss}: training ran away; start anew with a lower --set optimiser.lr=..."
        )
    rate = run.learner.optimiser.param_groups[0]["lr"]
    run.record({"kind": "step", "step": at.step, "steps": run.steps, "loss": loss, "lr": rate})


def _keep_checkpoint(run: TrainingRun, step: int) -> None:
    """For predictions averaged over checkpoints (ATT): the weights, and what they say of the validation data."""
    network = run.learner.kept()
    scores, validation = validated(run, network)
    if run.group.leads:
        save_checkpoint(run.folder.checkpoint(step), network, header(run, validation, step))
        np.save(run.folder.checkpoint(step).with_suffix(".npy"), scores)


def _save(run: TrainingRun, at: Progress) -> None:
    """Everything a resumed run needs; batches and dropout need nothing, they follow from the step."""
    if run.group.leads:
        run.folder.save_state(
            {"identity": run.identity, "progress": asdict(at), "learner": run.learner.state_dict()}
        )


def _resumed(folder: RunFolder, learner: Learner, wanted: dict[str, str]) -> Progress:
    state = folder.load_state(wanted)
    if state is None:
        return Progress()
    learner.load_state_dict(state["learner"])
    return Progress(**state["progress"])


def _finish(run: TrainingRun, at: Progress) -> Outcome:
    validation = Validation(**at.validation)
    if run.group.leads:
        write_card(run, at, validation)
    return Outcome(run.folder.path, run.folder.best, at.step, validation)
