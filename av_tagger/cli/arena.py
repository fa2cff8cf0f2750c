"""av-tag arena: every ear, eye and fusion of this machine on your own clips, in one table."""

from __future__ import annotations

import json
import shlex
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
    from av_tagger.bench.arena import ArenaSettings, Standing


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
    variant_clips: int = option(
        0, "Degrade only N clips, drawn with a fixed seed. 0: all.", metavar="N"
    )
    output: Path | None = option(
        None,
        "Keep all results, arena.json and arena.html here; a second run goes on from them.",
        "-o",
        "--output",
        metavar="FOLDER",
    )
    card: Path | None = option(
        None, "Write the table as a section of a model card.", metavar="FILE.md"
    )
    json: bool = option(False, "Print everything as JSON on stdout, and nothing else there.")


def _arena(options: ArenaOptions) -> None:
    """Compare every ear, eye and fusion of this machine on clips with known labels."""
    from av_tagger.bench.arena import run_arena
    from av_tagger.media.find import find_media

    settings, clips = _settings(options), find_media(options.clips)
    with _folder(options.output) as folder:
        found = list(run_arena(clips, options.truth, settings, folder, _say))
    text = _as_json(found)
    _write(text, options)
    if options.json:
        sys.stdout.write(text)
    else:
        _show(found)


def _settings(options: ArenaOptions) -> ArenaSettings:
    from av_tagger.bench.arena import ArenaSettings
    from av_tagger.bench.degrade import OVERLAP, VARIANTS

    variants = _split(options.variants)
    if variants == ("all",):
        variants = (*(name for name in VARIANTS if name != "clean"), OVERLAP)
    return ArenaSettings(variants, _split(options.ears), options.variant_clips)


def _say(name: str) -> None:
    from av_tagger.cli.console import stderr_console

    stderr_console().say(f"{name} ...")


def _as_json(found: Sequence[Standing]) -> str:
    """What a page and a card are made of."""
    from av_tagger.evaluation.report import without_nan

    rows = [without_nan(one.as_json()) for one in found]
    return json.dumps(rows, ensure_ascii=False) + "\n"


def _write(text: str, options: ArenaOptions) -> None:
    from av_tagger.reports.arena import arena_card, arena_page, put_section
    from av_tagger.reports.files import write_text

    rows = json.loads(text)
    if options.output is not None:
        write_text(options.output / "arena.json", [text])
        write_text(options.output / "arena.html", [arena_page(rows)])
    if options.card is not None:
        section = arena_card(rows, _command(options))
        write_text(options.card, [put_section(options.card, section)])


def _command(options: ArenaOptions) -> str:
    """As typed, with the last name of absolute paths only."""
    words = ["av-tag arena", *map(_shown, options.clips), "--truth", _shown(options.truth)]
    chosen = {"--ears": options.ears, "--variants": options.variants}
    for name, value in chosen.items():
        words += [name, shlex.quote(value)] if value else []
    if options.variant_clips:
        words += ["--variant-clips", str(options.variant_clips)]
    return " ".join(words)


def _shown(path: str | Path) -> str:
    absolute = Path(path).is_absolute()
    return shlex.quote(Path(path).name if absolute else str(path))


def _split(words: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in (words or "").split(",") if word.strip())


@contextmanager
def _folder(output: Path | None) -> Iterator[Path]:
    if output is not None:
        yield output
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _show(found: Sequence[Standing]) -> None:
    from av_tagger.cli.console import stdout_console
    from av_tagger.cli.tables import print_table

    console = stdout_console()
    heads = ("contestant", "mAP", "95 %", "F1", "95 %", "ECE", "x", "MiB")
    print_table(console, "Arena", heads, [_row(one) for one in found])
    console.say("mAP, F1: at shipped thresholds, intervals by recording")
    console.say("ECE: calibration error of scores of 0.1 or more")
    console.say("x: seconds of clips per second of processor time; MiB: peak memory")
    _show_losses([one for one in found if one.variants])


def _show_losses(found: Sequence[Standing]) -> None:
    """Rows: variants; columns: contestants by number, so that many fit."""
    from av_tagger.cli.console import stdout_console
    from av_tagger.cli.tables import print_table

    if not found:
        return
    console = stdout_console()
    names = list(dict.fromkeys(name for one in found for name in one.variants))
    heads = ("variant", *(str(i) for i in range(1, len(found) + 1)))
    rows = [(name, *(_loss(one, name) for one in found)) for name in names]
    print_table(console, "Change of F1 by degraded sound", heads, rows)
    for i, one in enumerate(found, 1):
        console.say(f"{i}: {one.contestant.name}")
    clips = max(c.clips for one in found for c in one.variants.values())
    console.say(f"*: 95 % interval excludes 0; {clips} clips, paired with the clean sound")


def _loss(one: Standing, name: str) -> str:
    found = one.variants.get(name)
    if found is None:
        return ""
    return f"{found.f1.value:+.2f}{'*' if found.f1.excludes_zero else ' '}"


def _row(one: Standing) -> tuple[str, ...]:
    ap = one.figures.mean_ap.get("fused")
    found = one.figures.calibration.get("fused")
    return (
        one.contestant.name.replace("efficientat:", ""),
        "" if ap is None else f"{ap.value:.2f}",
        "" if ap is None else _short(ap.low, ap.high),
        f"{one.figures.micro.value:.2f}",
        _short(one.figures.micro.low, one.figures.micro.high),
        "" if found is None else f"{found.ece_claimed:.2f}",
        f"{one.cost.speed:.1f}",
        f"{one.cost.memory:.0f}",
    )


def _short(low: float, high: float) -> str:
    return "few" if low != low else f"{low:.2f}-{high:.2f}"  # noqa: PLR0124 - NaN


arena = command(ArenaOptions, _arena)
