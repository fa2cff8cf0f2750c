"""The run card: data checksums, versions, metrics and thresholds of a run, as JSON and Markdown."""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from av_tagger.learning.data.bags import Bags
from av_tagger.learning.data.balance import class_counts
from av_tagger.learning.data.examples import SkippedEntry
from av_tagger.learning.run import TrainingProgress, TrainingRun
from av_tagger.learning.validation import Validation
from av_tagger.metrics import d_prime, mean_of_defined, roc_auc
from av_tagger.settings import to_table

LIBRARIES = ("av-tagger", "torch", "numpy", "safetensors", "av")


def write_card(
    run: TrainingRun,
    at: TrainingProgress,
    validation: Validation,
    single: Validation | None = None,
) -> None:
    """`validation` is the result of the run; `single` that of its best epoch, if it averages."""
    card = make_card(run, at, validation, single)
    run.folder.write_text("card.json", json.dumps(card, indent=1, ensure_ascii=False) + "\n")
    run.folder.write_text("card.md", markdown(card))


def make_card(
    run: TrainingRun,
    at: TrainingProgress,
    validation: Validation,
    single: Validation | None = None,
) -> dict[str, Any]:
    teacher = run.data.teacher
    metrics = _floats(validation) | _areas(run)
    versions = {name: _version(name) for name in LIBRARIES}
    return {
        "recipe": to_table(run.recipe),
        "fingerprint": run.recipe.fingerprint,
        "origin": run.data.origin,
        "seed": run.recipe.seed,
        "data": {name: _data(bags) for name, bags in _all_bags(run).items()},
        **({"teacher": {"ear": teacher.ear, "sha256": teacher.sha256}} if teacher else {}),
        "warnings": run.data.warnings,
        "steps": at.step,
        "best_step": at.best_step,
        "seconds": round(at.seconds, 1),
        "device": str(run.group.device),
        "precision": str(run.group.dtype).removeprefix("torch."),
        "processes": run.group.size,
        "parameters": sum(p.numel() for p in run.learner.network.parameters()),
        "versions": {"python": platform.python_version(), **versions},
        "figures": metrics,
        "classes": _classes(run, validation),
        **({"averaged": _count(run), "best_epoch": _floats(single)} if single else {}),
    }


def _floats(validation: Validation) -> dict[str, float]:
    found = {k: v for k, v in asdict(validation).items() if isinstance(v, float)}
    return {k: v for k, v in found.items() if np.isfinite(v)}


def _areas(run: TrainingRun) -> dict[str, float]:
    """Mean AUC and d' of the validation scores in the run's folder."""
    with np.load(run.folder.validation) as found:
        columns = zip(found["scores"].T, found["targets"].T, strict=True)
        mean = mean_of_defined([roc_auc(scores, targets) for scores, targets in columns])
    return {"mauc": mean, "d_prime": d_prime(mean)} if np.isfinite(mean) else {}


def _count(run: TrainingRun) -> int:
    """Checkpoints that are averaged."""
    return sum(run.folder.checkpoint(step).is_file() for step in run.recipe.keep.average)


def markdown(card: dict[str, Any]) -> str:
    """The card as Markdown."""
    recipe, about = card["recipe"], card["recipe"]["about"]
    source = f"{about['paper']} {about['row']}".strip()
    published = f"; published: {about['published']}" if about["published"] else ""
    settings = json.dumps(recipe, indent=1)
    parts = [
        f"# {recipe['name']}",
        source + published,
        f"Command: `{card['origin']}`" if card["origin"] else "",
        _result(card),
        *(f"**Warning:** {text}." for text in card["warnings"]),
        _class_table(card["classes"]),
        "## Data",
        *(_data_line(name, data) for name, data in card["data"].items()),
        _teacher_line(card),
        "## Conditions",
        _conditions(card),
        f"Recipe (fingerprint {card['fingerprint']}):\n\n```json\n{settings}\n```",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _all_bags(run: TrainingRun) -> dict[str, Bags]:
    named: dict[str, Bags] = {"training": run.data.training, "validation": run.data.validation}
    return named | ({"background": run.data.background} if run.data.background is not None else {})


def _data(bags: Bags) -> dict[str, Any]:
    skipped: Sequence[SkippedEntry] = getattr(bags, "skipped", ())
    return {
        "sha256": bags.sha256,
        "clips": len(bags),
        "skipped": dict(Counter(s.kind for s in skipped)),
        "skipped_files": [asdict(s) for s in skipped],
    }


def _classes(run: TrainingRun, validation: Validation) -> list[dict[str, Any]]:
    training = class_counts(run.data.training.targets).tolist()
    held = class_counts(run.data.validation.targets).tolist()
    labels, precisions = run.data.training.labels, validation.average_precision
    keys = ("label", "training", "validation", "average_precision", "threshold")
    rows = zip(labels, training, held, precisions, validation.thresholds, strict=True)
    return [dict(zip(keys, row, strict=True)) for row in rows]


def _class_table(classes: Sequence[dict[str, Any]]) -> str:
    heading = ["class", "training clips", "validation clips", "AP", "threshold"]
    rows = [
        (
            c["label"],
            c["training"],
            c["validation"],
            _percent(c["average_precision"]),
            f"{c['threshold']:.3g}",
        )
        for c in classes
    ]
    return _table(heading, rows)


def _result(card: dict[str, Any]) -> str:
    names = {"micro_f1": "micro-F1", "macro_f1": "macro-F1", "map": "mean average precision"}
    figures = card["figures"]
    found = ", ".join(f"{text} {_percent(figures[key])}" for key, text in names.items())
    if "mauc" in figures:
        found += f", mAUC {figures['mauc']:.3f}, d' {figures['d_prime']:.2f}"
    return (
        f"**Validation:** {found} ({_which(card)};"
        " thresholds were tuned on the same data, so F1 is slightly too high)."
    )


def _which(card: dict[str, Any]) -> str:
    """The weights that the figures speak of."""
    if "averaged" not in card:
        return f"step {card['best_step']} of {card['steps']}"
    alone = _percent(card["best_epoch"]["map"])
    return f"mean prediction of {card['averaged']} checkpoints; best single epoch: mAP {alone}"


def _conditions(card: dict[str, Any]) -> str:
    parts = [
        f"{card['parameters']:,} parameters, seed {card['seed']}",
        f"{card['device']}, {card['precision']}, {card['processes']} process(es)",
        f"{card['seconds'] / 60:.1f} min",
        *(f"{name} {number}" for name, number in card["versions"].items()),
    ]
    return ", ".join(parts)


def _data_line(name: str, data: dict[str, Any]) -> str:
    line = f"{name}: {data['clips']} clips, sha256 `{data['sha256']}`"
    if not data["skipped"]:
        return line
    kinds = ", ".join(f"{n} {kind}" for kind, n in data["skipped"].items())
    files = "".join(f"\n- {s['name']}: {s['reason']}" for s in data["skipped_files"])
    return f"{line}; skipped: {kinds}{files}"


def _teacher_line(card: dict[str, Any]) -> str:
    if "teacher" not in card:
        return ""
    teacher = card["teacher"]
    return f"teacher: `{teacher['ear']}`, sha256 of its scores `{teacher['sha256']}`"


def _table(heading: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"
