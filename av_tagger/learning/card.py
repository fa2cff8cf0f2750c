"""The run card: data hashes, versions, seeds, figures and thresholds of a run, for machines (JSON) and for people (Markdown)."""

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
from av_tagger.learning.data.manifests import Skipped
from av_tagger.learning.run import Progress, TrainingRun
from av_tagger.learning.validation import Validation, validate
from av_tagger.settings import to_table

LIBRARIES = ("av-tagger", "torch", "numpy", "safetensors", "av")


def write_card(run: TrainingRun, at: Progress, validation: Validation) -> None:
    card = make_card(run, at, validation)
    run.folder.write_text("card.json", json.dumps(card, indent=1, ensure_ascii=False) + "\n")
    run.folder.write_text("card.md", in_words(card))


def make_card(run: TrainingRun, at: Progress, validation: Validation) -> dict[str, Any]:
    averaged = averaged_predictions(run)
    return {
        "recipe": to_table(run.recipe),
        "fingerprint": run.recipe.fingerprint,
        "origin": run.data.origin,
        "seed": run.recipe.seed,
        "data": {name: _data(bags) for name, bags in _all_bags(run).items()},
        "warnings": run.data.warnings,
        "steps": at.step,
        "best_step": at.best_step,
        "seconds": round(at.seconds, 1),
        "device": str(run.group.device),
        "precision": str(run.group.dtype).removeprefix("torch."),
        "processes": run.group.size,
        "parameters": sum(p.numel() for p in run.learner.network.parameters()),
        "versions": {
            "python": platform.python_version(),
            **{name: _version(name) for name in LIBRARIES},
        },
        "figures": {
            key: value for key, value in asdict(validation).items() if isinstance(value, float)
        },
        "classes": _classes(run, validation),
        **({"averaged": averaged} if averaged else {}),
    }


def averaged_predictions(run: TrainingRun) -> dict[str, Any]:
    """ATT: the mean of the kept checkpoints' predictions, judged like those of one model."""
    files = [run.folder.checkpoint(step).with_suffix(".npy") for step in run.recipe.keep.average]
    there = [file for file in files if file.exists()]
    if not there:
        return {}
    scores = np.mean([np.load(file) for file in there], axis=0)
    validation = validate(
        scores,
        run.data.validation.targets,
        float("nan"),
        run.recipe.keep.thresholds,
        run.recipe.seed,
    )
    return {
        "checkpoints": len(there),
        "micro_f1": validation.micro_f1,
        "macro_f1": validation.macro_f1,
        "map": validation.map,
    }


def in_words(card: dict[str, Any]) -> str:
    """The card as Markdown."""
    recipe, about = card["recipe"], card["recipe"]["about"]
    rows = [
        [
            c["label"],
            c["training"],
            c["validation"],
            _percent(c["average_precision"]),
            f"{c['threshold']:.3g}",
        ]
        for c in card["classes"]
    ]
    parts = [
        f"# {recipe['name']}",
        f"{about['paper']} {about['row']}".strip()
        + (f"; published: {about['published']}" if about["published"] else ""),
        f"Made by: `{card['origin']}`" if card["origin"] else "",
        _verdict(card),
        *(f"**Warning:** {text}." for text in card["warnings"]),
        _table(["class", "training clips", "validation clips", "AP", "threshold"], rows),
        "## Data",
        *(_data_in_words(name, data) for name, data in card["data"].items()),
        "## Conditions",
        _conditions(card),
        f"Recipe (fingerprint {card['fingerprint']}):\n\n```json\n{json.dumps(recipe, indent=1)}\n```",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _all_bags(run: TrainingRun) -> dict[str, Bags]:
    named: dict[str, Bags] = {"training": run.data.training, "validation": run.data.validation}
    return named | ({"background": run.data.background} if run.data.background is not None else {})


def _data(bags: Bags) -> dict[str, Any]:
    skipped: Sequence[Skipped] = getattr(bags, "skipped", ())
    return {
        "sha256": bags.sha256,
        "clips": len(bags),
        "skipped": dict(Counter(s.kind for s in skipped)),
        "skipped_files": [asdict(s) for s in skipped],
    }


def _classes(run: TrainingRun, validation: Validation) -> list[dict[str, Any]]:
    counts = zip(
        class_counts(run.data.training.targets).tolist(),
        class_counts(run.data.validation.targets).tolist(),
        strict=True,
    )
    found = zip(
        run.data.training.labels,
        counts,
        validation.average_precision,
        validation.thresholds,
        strict=True,
    )
    return [
        {
            "label": label,
            "training": n,
            "validation": m,
            "average_precision": ap,
            "threshold": threshold,
        }
        for label, (n, m), ap, threshold in found
    ]


def _verdict(card: dict[str, Any]) -> str:
    figures = {name: _percent(value) for name, value in card["figures"].items()}
    found = f"micro-F1 {figures['micro_f1']}, macro-F1 {figures['macro_f1']}, mean average precision {figures['map']}"
    return f"**Validation:** {found} (step {card['best_step']} of {card['steps']}; thresholds tuned on the same data, so a little high)."


def _conditions(card: dict[str, Any]) -> str:
    size = f"{card['parameters']:,} parameters, seed {card['seed']}"
    place = f"{card['device']}, {card['precision']}, {card['processes']} process(es), {card['seconds'] / 60:.1f} min"
    return f"{size}, {place}; " + ", ".join(
        f"{name} {number}" for name, number in card["versions"].items()
    )


def _data_in_words(name: str, data: dict[str, Any]) -> str:
    left_out = ", ".join(f"{n} {kind}" for kind, n in data["skipped"].items())
    files = "".join(f"\n- {s['name']}: {s['reason']}" for s in data["skipped_files"])
    return f"{name}: {data['clips']} clips, sha256 `{data['sha256']}`" + (
        f"; skipped: {left_out}{files}" if left_out else ""
    )


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
