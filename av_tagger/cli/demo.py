"""av-tag demo: makes a short synthetic video with sound and tags it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from av_tagger.cli.options import ModelOptions, TalkOptions, command
from av_tagger.flags import OUTPUT, option


@dataclass(frozen=True)
class DemoOptions(ModelOptions, TalkOptions):
    output: Path = option(
        Path("av-tag-demo"),
        "Folder for the video and its page.",
        "-o",
        "--output",
        metavar="FOLDER",
        group=OUTPUT,
    )
    seed: int = option(106, "Seed of the random scene.", group=OUTPUT)


def _demo(options: DemoOptions) -> int:
    """Make a short video with sound, tag it, and write a page about it."""
    from av_tagger.cli.console import stderr_console, stdout_console
    from av_tagger.cli.outputs import make_folder
    from av_tagger.cli.session import load_tagger, one_core_each
    from av_tagger.cli.show import show
    from av_tagger.cli.styles import QUIET
    from av_tagger.media.write import write_video
    from av_tagger.reports.html import write_page
    from av_tagger.reports.spectrogram import draw_clip
    from av_tagger.synth.clock import LABEL, clock_demo
    from av_tagger.synth.pictures import demo_scene

    console, errors = stdout_console(), stderr_console()
    video, page = options.output / "demo.mp4", options.output / "demo.html"
    make_folder(options.output, "choose another folder with -o")
    tagger = one_core_each(load_tagger(options, options))
    make = clock_demo if LABEL in tagger.parts.labels else demo_scene
    scene, frames, fps = make(options.seed)
    write_video(video, frames, fps, scene.samples, scene.rate)
    tagged = tagger.tag(video)
    show(tagged, console, errors)
    write_page(tagged, page, draw_clip(tagged.clip))
    truth = ", ".join(f"{e.label} {e.start:.1f}–{e.end:.1f} s" for e in scene.events)
    console.say(f"ground truth: {truth}", QUIET)
    console.say(f"video: {video}")
    console.say(f"page:  {page}")
    return 0


demo = command(DemoOptions, _demo)
