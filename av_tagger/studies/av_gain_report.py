"""Results of the fusion-gain study: Markdown, a figure, and the list of clips."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from av_tagger.reports import plots
from av_tagger.reports.files import write_text
from av_tagger.studies.av_gain_clips import Deal, SoundSource
from av_tagger.studies.av_gain_measure import WAYS

NAMES = {
    "heard": "ear alone",
    "seen": "eye alone",
    "paper weights": "both, the paper's weights",
    "paper rule": "both, weights by the paper's rule",
    "fitted": "both, fitted weights",
}


def markdown(results: Mapping[str, Any], command: str) -> str:
    """Two tables: micro-F1 by way, and F1 by class."""
    fits = f"Mean ± standard deviation over {results['fits']} fits on one half of the clips"
    lines = [
        f"    {command}",
        "",
        _clips(results),
        "",
        "| | micro-F1 | gain | on recordings | on scenes |",
        "|---|---|---|---|---|",
        *(_way_row(results, way) for way in WAYS),
        "",
        f"{fits}, measured on the other half.",
        "",
        "| class | clips | heard | seen | fused | weight of the ear | eye trusted |",
        "|---|---|---|---|---|---|---|",
        *(_class_row(results, label) for label in results["classes"]),
    ]
    return "\n".join(lines) + "\n"


def _clips(results: Mapping[str, Any]) -> str:
    c = results["clips"]
    return (
        f"{results['settings']['clips']} clips: {c['recordings_with_a_class']} recordings and "
        f"{c['scenes_with_a_class']} synthetic scenes with a class, {c['without_a_class']} sounds "
        f"without any. The pictures of {c['show_their_source']:.0f} clips show the source, out of "
        f"{c['of_a_class_with_pictures']} whose class has pictures."
    )


def _way_row(results: Mapping[str, Any], way: str) -> str:
    f1, kinds = results["micro_f1"][way], results["micro_f1_by_sound"]
    gain = ""
    if way != "heard":
        found = results["gain"][way]
        gain = f"{100 * found['mean']:+.1f} ± {100 * found['std']:.1f}"
    cells = [NAMES[way], f"{100 * f1['mean']:.1f} ± {100 * f1['std']:.1f}", gain]
    cells += [f"{100 * kinds[kind][way]:.1f}" for kind in kinds]
    return f"| {' | '.join(cells)} |"


def _class_row(results: Mapping[str, Any], label: str) -> str:
    row = results["classes"][label]
    name = label if row["can_be_seen"] else f"{label} (no picture)"
    f1 = [f"{100 * row[way]:.0f}" for way in ("heard", "seen", "fitted")]
    trusted = f"{row['trusts_eye']} of {results['fits']}"
    cells = [name, str(row["clips"]), *f1, f"{row['ear_weight']:.2f}", trusted]
    return f"| {' | '.join(cells)} |"


def draw(results: Mapping[str, Any], path: Path) -> None:
    """AV figure 3: F1 per class; (V) where the paper's rule trusts the eye in most fits."""
    rows, half = results["classes"], results["fits"] / 2
    names = [f"{n} (V)" if row["trusts_eye"] > half else n for n, row in rows.items()]
    columns = {"heard": "heard", "seen": "seen", "fused": "fitted"}
    scores = {name: [row[way] for row in rows.values()] for name, way in columns.items()}
    micro = {name: results["micro_f1"][way]["mean"] for name, way in columns.items()}
    plots.save(plots.class_f1(scores, names, micro), path)


def write_clips(path: Path, sounds: Sequence[SoundSource], deals: Sequence[Deal]) -> None:
    """Half and pictures of every clip in every deal, as CSV."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(
        ["deal", "half", "sound", "labels", "recording", "first shot", "second shot", "shows"]
    )
    for number, dealt in enumerate(deals):
        for sound, half, film in zip(sounds, dealt.halves, dealt.films, strict=True):
            source = [sound.name, "|".join(sound.labels), sound.recording]
            table.writerow([number, int(half), *source, *film.pictures, int(film.shows)])
    write_text(path, [text.getvalue()])
