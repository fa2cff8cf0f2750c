"""av-tag arena: every ear, eye and fusion of this machine on your own clips, in one table."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from av_tagger.cli.options import command
from av_tagger.flags import argument, option, required

if TYPE_CHECKING:
    from av_tagger.bench.arena import Standing


@dataclass(frozen=True, kw_only=True)
class ArenaOptions:
    clips: list[str] = argument("CLIPS...", "Files, folders or globs.")
    truth: Path = required(
        "Ground truth: tab-separated file, start, end, label; or a manifest file,labels.",
        metavar="TABLE",
    )
    ears: str | None = option(
        None, "Ears to compare, comma-separated. Default: all on this machine.", metavar="LIST"
    )
    variants: str | None = option(
        None,
        "Also degrade the sound for ears alone, comma-separated, or all: see the docs.",
        metavar="LIST",
    )
    output: Path | None = option(
        None, "Keep the results of every contestant in this folder.", "-o", "--output"
    )
    json: bool = option(False, "Print everything as JSON on stdout, and nothing else there.")


def _arena(options: ArenaOptions) -> None:
    """Compare every ear, eye and fusion of this machine on clips with known labels."""
    from av_tagger.bench.arena import run_arena
    from av_tagger.bench.degrade import OVERLAP, VARIANTS
    from av_tagger.evaluation.report import without_nan
    from av_tagger.media.find import find_media

    variants = _split(options.variants)
    if variants == ["all"]:
        variants = [*VARIANTS, OVERLAP]
    clips = find_media(options.clips)
    found = []
    with _folder(options.output) as folder:
        for one in run_arena(clips, options.truth, variants, _split(options.ears), folder):
            print(f"done: {one.contestant.name}", file=sys.stderr)
            found.append(one)
    if options.json:
        text = json.dumps([without_nan(one.as_json()) for one in found], ensure_ascii=False)
        sys.stdout.write(text + "\n")
    else:
        _show(found)


def _split(words: str | None) -> list[str]:
    return [word.strip() for word in (words or "").split(",") if word.strip()]


@contextmanager
def _folder(output: Path | None) -> Iterator[Path]:
    if output is not None:
        yield output
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _show(found: Sequence[Standing]) -> None:
    from av_tagger.cli.tables import figures_console, print_line, print_table

    console = figures_console()
    heads = ("contestant", "mAP", "95 %", "F1", "95 %", "ECE", "x", "MB")
    print_table(console, "Arena", heads, [_row(one) for one in found])
    print_line(console, "mAP, F1: at shipped thresholds, intervals by recording")
    print_line(console, "ECE: calibration error of scores of 0.1 or more")
    print_line(console, "x: seconds of clips per second of processor time; MB: peak memory")
    for one in found:
        for name, c in one.variants.items():
            f1 = f"F1 {c.f1.value:+.3f} {c.f1.bounds}"
            ap = "" if c.mean_ap is None else f", mAP {c.mean_ap.value:+.3f} {c.mean_ap.bounds}"
            print_line(console, f"{one.contestant.name}, {name}: {f1}{ap}")


def _row(one: Standing) -> tuple[str, ...]:
    ap = one.figures.mean_ap.get("fused")
    found = one.figures.calibration.get("fused")
    return (
        one.contestant.name,
        "" if ap is None else f"{ap.value:.2f}",
        "" if ap is None else _short(ap.low, ap.high),
        f"{one.figures.micro.value:.2f}",
        _short(one.figures.micro.low, one.figures.micro.high),
        "" if found is None else f"{found.ece_claimed:.2f}",
        f"{one.cost.speed:.1f}",
        f"{one.cost.memory / 1e6:.0f}",
    )


def _short(low: float, high: float) -> str:
    return "few" if low != low else f"{low:.2f}-{high:.2f}"  # noqa: PLR0124 - NaN


arena = command(ArenaOptions, _arena)
