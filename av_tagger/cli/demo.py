"""av-tag demo: makes a short video with picture and sound by the project's own code, and tags it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from av_tagger.cli.options import ANSWERS, ModelOptions, TalkOptions, command


@dataclass(frozen=True)
class DemoOptions(TalkOptions, ModelOptions):
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", help="Where to put the video and its page.", rich_help_panel=ANSWERS
        ),
    ] = Path("av-tag-demo")
    seed: Annotated[
        int, typer.Option(help="Another number, another scene.", rich_help_panel=ANSWERS)
    ] = 14


def _demo(options: DemoOptions) -> int:
    """Make a demo video with picture and sound, tag it, and say where it is."""
    from rich.console import Console
    from rich.text import Text

    from av_tagger.cli.session import load_tagger
    from av_tagger.cli.show import show
    from av_tagger.media.write import write_video
    from av_tagger.reports.html import write_page
    from av_tagger.reports.spectrogram import draw_clip
    from av_tagger.synth.pictures import demo_scene

    console, errors = Console(), Console(stderr=True)
    video, page = options.output / "demo.mp4", options.output / "demo.html"
    options.output.mkdir(parents=True, exist_ok=True)
    scene, frames, fps = demo_scene(options.seed)
    write_video(video, frames, fps, scene.samples, scene.rate)
    tagged = load_tagger(options, options).tag(video)
    show(tagged, console, errors)
    write_page(tagged, page, draw_clip(tagged.clip))
    truth = ", ".join(f"{e.label} {e.start:.1f}–{e.end:.1f} s" for e in scene.events)
    console.print(Text(f"really in it: {truth}", style="dim"), soft_wrap=True)
    console.print(Text(f"the video: {video}\nits page:  {page}"), soft_wrap=True)
    return 0


demo = command(DemoOptions, _demo)
