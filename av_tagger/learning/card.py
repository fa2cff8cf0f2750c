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
from av_tagger.learning.validation import Validation, validate
from av_tagger.settings import to_table

LIBRARIES = ("av-tagger", "torch", "numpy", "safetensors", "av")


def write_card(run: TrainingRun, at: TrainingProgress, validation: Validation) -> None:
    card = make_card(run, at, validation)
    run.folder.write_text("card.json", json.dumps(card, indent=1, ensure_ascii=False) + "\n")
    run.folder.write_text("card.md", markdown(card))


def make_card(run: TrainingRun, at: TrainingProgress, validation: Validation) -> dict[str, Any]:
    averaged = averaged_predictions(run)
    teacher = run.data.teacher
    metrics = {k: v for k, v in asdict(validation).items() if isinstance(v, float)}
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
        **({"averaged": averaged} if averaged else {}),
    }


def averaged_predictions(run: TrainingRun) -> dict[str, Any]:
    """ATT: metrics of the mean prediction of the kept checkpoints; empty if there are none."""
    keep, seed = run.recipe.keep, run.recipe.seed
    files = [run.folder.checkpoint(step).with_suffix(".npy") for step in keep.average]
    there = [file for file in files if file.exists()]
    if not there:
        return {}
    scores = np.mean([np.load(file) for file in there], axis=0)
    found = validate(scores, run.data.validation.targets, float("nan"), keep.thresholds, seed)
    metrics = {"micro_f1": found.micro_f1, "macro_f1": found.macro_f1, "map": found.map}
    return {"checkpoints": len(there), **metrics}


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
    found = ", ".join(f"{text} {_percent(card['figures'][key])}" for key, text in names.items())
    return (
        f"**Validation:** {found} (step {card['best_step']} of {card['steps']};"
        " thresholds were tuned on the same data, so F1 is slightly too high)."
    )


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
