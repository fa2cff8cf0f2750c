"""Steps that tagging commands share: find inputs, build a tagger, write outputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from av_tagger.clip import Clip
from av_tagger.errors import AvTaggerError, UsageError
from av_tagger.scores import BranchInfo, Failed, Outcome, Tagged

if TYPE_CHECKING:
    from av_tagger.cli.options import ModelOptions, OutputOptions, TalkOptions
    from av_tagger.config import Config
    from av_tagger.plan import Plan
    from av_tagger.tagger import Tagger

SMALL_MEDIA = 10_000_000  # bytes: a film up to this size is inside the page of --report


@dataclass(frozen=True)
class Jobs:
    """The clips to tag in the order of the inputs; inputs that were not found are `Failed`."""

    items: tuple[Clip | Failed, ...]

    def __len__(self) -> int:
        return len(self.items)

    def outcomes(self, tagger: Tagger) -> Iterator[Outcome]:
        for item in self.items:
            yield item if isinstance(item, Failed) else next(tagger.stream([item]))


def gather(inputs: Sequence[str]) -> Jobs:
    """Files, folders and globs to clips; an input that is not found is `Failed`."""
    from av_tagger.media.find import find_media

    if not inputs:
        raise UsageError("name at least one file, folder or glob, as in: av-tag video.mp4")
    items: dict[Path, Clip | Failed] = {}
    for word in inputs:
        try:
            items.update((path, Clip(path)) for path in find_media([word]))
        except AvTaggerError as error:
            items[Path(word)] = Failed(Clip(Path(word)), error.kind, str(error))
    return Jobs(tuple(items.values()))


def plan_of(models: ModelOptions) -> Plan:
    """The plan that the flags and the settings file ask for."""
    from av_tagger.plan import make_plan

    config = settings_of(models)
    with Console(stderr=True).status("preparing", spinner="dots"):
        return make_plan(config)


def load_tagger(models: ModelOptions, talk: TalkOptions) -> Tagger:
    """The tagger for these flags; its ear, eye and device go to stderr."""
    return build_tagger(plan_of(models), talk)


def build_tagger(plan: Plan, talk: TalkOptions) -> Tagger:
    """Load the networks of a plan; its advice and what is used go to stderr."""
    from av_tagger.devices import find_device
    from av_tagger.media import warm_up

    console = Console(stderr=True)
    warm_up(plan.config.decoder)
    find_device(plan.config.device)  # refused before anything is printed
    say_advice(plan, talk)
    with console.status("loading", spinner="dots"):
        tagger = plan.build(say=lambda text: say(text, talk, console))
    say_used(tagger.branches, tagger.parts.run.device, talk)
    if talk.verbose and (chosen := getattr(tagger.parts.eye, "arithmetic", "")):
        console.print(Text(f"chosen for this machine: {chosen}", style="dim"), soft_wrap=True)
    return tagger


def say_advice(plan: Plan, talk: TalkOptions) -> None:
    """Print what was expected and is not used to stderr."""
    for line in plan.advice:
        say(line, talk)


def say_used(branches: tuple[BranchInfo, BranchInfo], device: str, talk: TalkOptions) -> None:
    """Print ear, eye and device to stderr, in one line."""
    from av_tagger.cli.show import used

    if not talk.quiet:
        Console(stderr=True).print(Text(used(*branches, device), style="dim"), soft_wrap=True)


def settings_of(models: ModelOptions) -> Config:
    """Defaults, then the settings file, then the flags that were given."""
    from av_tagger.config import configure

    return configure(models.config, models.given)


def say(text: str, talk: TalkOptions, console: Console | None = None) -> None:
    """Print a remark to stderr, unless --quiet."""
    if not talk.quiet:
        (console or Console(stderr=True)).print(Text(text, style="yellow"), soft_wrap=True)


def check_outputs(options: OutputOptions, inputs: int) -> None:
    """Refuse wrong output flags before anything is tagged."""
    from av_tagger.reports.writers import check_formats

    if options.format is not None:
        check_formats(options.format.split(","))
        if options.output is None:
            raise UsageError("--format needs a folder to write into; add -o FOLDER")
    if options.annotate is not None and inputs != 1:
        raise UsageError("--annotate takes one video at a time")


def write_outputs(outcomes: Sequence[Outcome], options: OutputOptions) -> list[Path]:
    """Write everything that the flags ask for; returns the files in the folder of `-o`."""
    from av_tagger.reports.writers import write_all

    formats = (options.format or "json").split(",")
    written = [] if options.output is None else write_all(formats, outcomes, options.output)
    tagged = [o for o in outcomes if isinstance(o, Tagged)]
    if options.report is not None and tagged:
        _write_report(tagged, options.report)
    if options.annotate is not None and tagged:
        _annotate(tagged[0], options.annotate)
    return written


def _write_report(tagged: Sequence[Tagged], target: Path) -> None:
    from av_tagger.reports.html import PageOptions, write_page, write_site
    from av_tagger.reports.spectrogram import draw_clip

    if len(tagged) == 1 and target.suffix:
        options = PageOptions(embed_small=SMALL_MEDIA)
        write_page(tagged[0], target, draw_clip(tagged[0].clip), options)
    else:
        write_site(tagged, target)


def _annotate(tagged: Tagged, target: Path) -> None:
    from av_tagger.reports.annotate import annotate

    annotate(tagged, target)
