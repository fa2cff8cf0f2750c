"""Steps that tagging commands share: from flags to a plan, from a plan to a tagger."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from av_tagger.cli.console import Console, stderr_console
from av_tagger.cli.styles import QUIET, WARNING
from av_tagger.scores import BranchInfo

if TYPE_CHECKING:
    from av_tagger.cli.options import ModelOptions, TalkOptions
    from av_tagger.cli.progress import ProgressBar
    from av_tagger.clip import Clip
    from av_tagger.config import Config
    from av_tagger.plan import Plan
    from av_tagger.tagger import Tagger


def plan_of(models: ModelOptions, talk: TalkOptions) -> Plan:
    """The plan that the flags and the settings file ask for; downloads are announced on stderr."""
    from av_tagger.cli.progress import BYTES, ProgressBars
    from av_tagger.plan import make_plan
    from av_tagger.weights import announcement

    config = settings_of(models)
    console = stderr_console()
    with ExitStack() as stack:
        status = stack.enter_context(console.status("preparing", spinner="dots"))

        def watch(name: str) -> ProgressBar:
            status.stop()
            if not talk.quiet:
                console.say(f"downloading {announcement(name)}", QUIET)
            bars = ProgressBars(BYTES, console=console, quiet=talk.quiet)
            return stack.enter_context(bars).add(name)

        return make_plan(config, watch=watch)


def load_tagger(models: ModelOptions, talk: TalkOptions) -> Tagger:
    """The tagger for these flags; its ear, eye and device go to stderr."""
    return build_tagger(plan_of(models, talk), talk)


def build_tagger(plan: Plan, talk: TalkOptions, first: Clip | None = None) -> Tagger:
    """Load the networks of a plan; its advice and what is used go to stderr.

    `first`: the clip that is tagged first, decoded meanwhile.
    """
    from av_tagger.devices import find_device
    from av_tagger.media import warm_up
    from av_tagger.tagger import Tagger

    console = stderr_console()
    warm_up(plan.config.decoder)
    early = None if first is None else plan.decoding_early(first)
    with no_collection():
        if plan.needs_torch:
            find_device(plan.config.device)  # refused before anything is printed
        say_advice(plan, talk)
        with console.status("loading", spinner="dots"):
            tagger = plan.build(say=lambda text: say(text, talk, console))
    if early is not None:
        tagger = Tagger(replace(tagger.parts, open=early))
    say_used(tagger.branches, tagger.parts.run.device, talk)
    if talk.verbose and (chosen := getattr(tagger.parts.eye, "arithmetic", "")):
        console.say(f"chosen for this machine: {chosen}", QUIET)
    return tagger


@contextmanager
def no_collection() -> Iterator[None]:
    """No garbage collection while modules and networks are loaded.

    Each collection looks at all objects, of which torch alone makes hundreds of thousands. Those
    that were made go to the oldest generation, which is seldom looked at.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
        gc.freeze()
        gc.unfreeze()
    finally:
        gc.enable()


def start_decoder(models: ModelOptions) -> None:
    """Start the decoding process, in the background, if the flags alone say which."""
    from av_tagger.media import DEFAULT, warm_up

    if models.config is None and models.given.get("decoder", DEFAULT) == DEFAULT:
        warm_up()


def one_core_each(tagger: Tagger) -> Tagger:
    """On a processor, windows are scored side by side with one thread each, as `batch` does.

    Networks as small as these lose more by sharing a layer among threads than they gain.
    """
    from av_tagger.systems import available_cores

    torch = sys.modules.get("torch")
    if torch is None or not tagger.parts.run.device.startswith("cpu"):
        return tagger
    torch.set_num_threads(1)
    return tagger.with_threads(available_cores())


def say_advice(plan: Plan, talk: TalkOptions) -> None:
    """Print what was expected and is not used to stderr: once a day, or with --verbose."""
    from av_tagger.cli.once import is_due

    for line in plan.advice:
        if not talk.quiet and (is_due(line) or talk.verbose):
            say(line, talk)


def say_used(branches: tuple[BranchInfo, BranchInfo], device: str, talk: TalkOptions) -> None:
    """Print ear, eye and device to stderr: their names, or with --verbose all about them."""
    from av_tagger.cli.show import used

    if not talk.quiet:
        for line in used(*branches, device, verbose=talk.verbose):
            stderr_console().say(line, QUIET)


def settings_of(models: ModelOptions) -> Config:
    """Defaults, then the settings file, then the flags that were given.

    For reports (--report, --detail) the eye also says where it sees what.
    """
    from av_tagger.config import configure

    config = configure(models.config, models.given)
    reported = getattr(models, "report", None) or getattr(models, "detail", False)
    return replace(config, where=True) if reported else config


def say(text: str, talk: TalkOptions, console: Console | None = None) -> None:
    """Print a remark to stderr, unless --quiet."""
    if not talk.quiet:
        (console or stderr_console()).say(text, WARNING)
