"""av-tag export EAR -o FILE.onnx: an ear for machines without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from av_tagger.cli.options import command
from av_tagger.flags import argument, option


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    ear: str = argument("EAR", "starter, yamnet, efficientat:mn10, a weights file or a run.")
    output: Path = option(
        Path("ear.onnx"), "The file to write.", "-o", "--output", metavar="FILE.onnx"
    )
    offline: bool = option(False, "Never use the network.")


def _export(options: ExportOptions) -> None:
    """Write an ear with its front end as an ONNX file, and check it against torch."""
    from av_tagger.audio.ears import fetched, load, resolve
    from av_tagger.cli.console import stdout_console
    from av_tagger.live.export import export_ear

    source = resolve(options.ear, offline=options.offline, calibrated=True)
    ear = load(fetched(source, offline=options.offline), "cpu")
    done = export_ear(ear, options.output)
    size, most = f"{done.bytes / 1e6:.1f} MB", f"{done.difference:.1e}"
    stdout_console().say(f"wrote {done.path}: {size}, differs from torch by at most {most}")


export = command(ExportOptions, _export)
