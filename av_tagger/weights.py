"""The catalogue of weights: where each file is, whether it is complete, how to get it."""

from __future__ import annotations

import importlib
import os
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

from av_tagger import cache, checksums, download, hub_cache, wheels
from av_tagger.catalogue import CATALOGUE, GROUPS, WeightsFile
from av_tagger.errors import UsageError, WeightsError, did_you_mean
from av_tagger.exclusive import exclusive
from av_tagger.state_file import safetensors_shapes
from av_tagger.wheels import Wheel

Progress = Callable[[int, int | None], None]  # bytes so far, bytes in all where that is known


class State(StrEnum):
    ABSENT = "absent"
    PARTIAL = "partly downloaded"
    UNVERIFIED = "present, no checksum known"
    WHOLE = "whole"
    DAMAGED = "damaged"
    INSTALLED = "in an installed package, converted at first use"


@dataclass(frozen=True)
class Listed:
    """A line of `av-tag weights list`."""

    file: WeightsFile
    state: State
    path: Path | None
    source: str  # where the file came from, or would come from


def entry(name: str) -> WeightsFile:
    if name not in CATALOGUE:
        raise UsageError(f"there are no weights {name!r}; {did_you_mean(name, CATALOGUE)}")
    return CATALOGUE[name]


def cache_folder() -> Path:
    """Where downloads go."""
    return cache.folder("weights")


def folders() -> list[Path]:
    """Where weights are searched, in order: `$AV_TAGGER_WEIGHTS`, the package, the cache."""
    own = [Path(part) for part in os.environ.get("AV_TAGGER_WEIGHTS", "").split(os.pathsep) if part]
    package = Path(__file__).parent
    return [*own, package / "shipped_weights", package.parent / "weights", cache_folder()]


def find(filename: str) -> Path | None:
    """The first file of this name in the folders; it need not be in the catalogue."""
    return next((folder / filename for folder in folders() if (folder / filename).is_file()), None)


def locate(name: str) -> Path | None:
    """The file of an entry in the first folder that has it, else in the Hugging Face cache."""
    file = entry(name)
    candidates = (folder / file.filename for folder in folders())
    found = next((path for path in candidates if path.is_file()), None)
    if found is None and file.wheel is not None and file.in_place:
        found = next(iter(wheels.installed(file.wheel).values()), None)
    in_hub = (hub_cache.find(address) for address in file.urls)
    return found or next((path for path in in_hub if path is not None), None)


def fetch(
    name: str, *, offline: bool = False, retry: bool = True, progress: Progress | None = None
) -> Path:
    """Where the file is, fetched first when it is nowhere; a damaged copy in the cache is replaced.

    `retry=False`: do not ask a package index that was unreachable within the last hour.
    """
    file, target = entry(name), cache_folder() / entry(name).filename
    offline = offline or bool(os.environ.get("AV_TAGGER_OFFLINE"))
    found = locate(name)
    if found is not None and is_right(file, found):
        return found
    if found is not None and found != target:
        raise WeightsError(damaged(name, found))
    if file.wheel is not None:
        return _from_wheel(
            file, file.wheel, wheels.TakeOptions(offline, retry, _scaled(progress, file.wheel))
        )
    if not file.urls:
        raise WeightsError(
            f"{file.filename}: is part of the package, but missing; install the package again"
        )
    if offline:
        raise WeightsError(
            f"{file.filename}: {'is not here' if found is None else 'is damaged'}, and "
            f"--offline forbids a download; {by_hand(file)}"
        )
    download.fetch(
        _addresses(file),
        target,
        download.ExpectedFile(file.sha256, file.size, file.most, _content_check(file)),
        progress,
        by_hand(file),
    )
    return target


def check(name: str) -> State:
    """Compares the checksum if one is known, which reads the whole file."""
    file, path = entry(name), locate(name)
    if path is None:
        return _state_of_absent(file)
    if not is_plausible(file, path):
        return State.DAMAGED
    known = _pinned_sha256(file, path) or download.recorded_sha256(path)
    if known:
        return State.WHOLE if download.sha256_of(path) == known else State.DAMAGED
    return State.WHOLE if path.suffix == ".safetensors" else State.UNVERIFIED


def listing() -> list[Listed]:
    return [
        Listed(file, check(name), locate(name), source_of(name)) for name, file in CATALOGUE.items()
    ]


def members_of(name: str) -> tuple[str, ...]:
    """The members of a group, or the one name itself."""
    return GROUPS[name] if name in GROUPS else (entry(name).name,)


def source_of(name: str) -> str:
    """Where the file came from, or would come from."""
    file, path = entry(name), locate(name)
    if path is not None and path.suffix == ".safetensors":
        recorded = _metadata(path).get("source", "")
        if recorded:
            return recorded
    if file.wheel is not None:
        return f"{file.wheel} (Python package)"
    hosts = [str(urllib.parse.urlsplit(address).hostname) for address in _addresses(file)[:1]]
    return hosts[0] if hosts else "av-tagger"


def announcement(name: str) -> str:
    """What a fetch would get, how large it is, and from where; empty if it is here."""
    file = entry(name)
    if locate(name) is not None:
        return ""
    size = f"{file.download_size / 1e6:.0f} MB " if file.download_size else ""
    if file.wheel is None:
        return f"{name}: {size}from {source_of(name)}"
    if wheels.installed(file.wheel):
        return f"{name}: from the installed package {file.wheel}"
    return f"{name}: {size}from the package index, {file.wheel} by pip"


def damaged(name: str, path: Path) -> str:
    return f"{path}: is damaged or incomplete; delete it and run `av-tag weights fetch {name}`"


def by_hand(file: WeightsFile) -> str:
    """How to get the file without network access from this program."""
    if file.wheel is not None:
        return wheels.by_hand(file.wheel, folders())
    address = _addresses(file)[0] if file.urls else "(no address known)"
    return (
        f"download {address} ({file.size_text}) elsewhere, and put it as {file.filename} into "
        f"{cache_folder()} "
        "or a folder named in $AV_TAGGER_WEIGHTS"
    )


def _from_wheel(file: WeightsFile, wheel: Wheel, options: wheels.TakeOptions) -> Path:
    """Convert the wheel's members to safetensors with a header that records the source."""
    target = cache_folder() / file.filename
    with exclusive(target):
        if target.is_file() and check(file.name) is State.WHOLE:  # by another process meanwhile
            return target
        taken = wheels.take(wheel, folders(), options)
        arrays = _converter(file)(taken.contents)
        header = {
            "format": "pt",
            "source": f"{wheel} ({taken.source})",
            "wheel_sha256": wheel.sha256,
            "licence": file.licence,
        }
        _store(arrays, target, header)
    return target


def _store(arrays: dict[str, Any], target: Path, header: dict[str, str]) -> None:
    import numpy as np
    from safetensors.numpy import save

    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        # save() writes the memory as it is, whatever the strides.
        rows = {name: np.asarray(array, order="C") for name, array in arrays.items()}
        part.write_bytes(save(rows, header))
        part.replace(target)
        download.record_sha256(target)
    finally:
        part.unlink(missing_ok=True)


def _converter(file: WeightsFile) -> Callable[[dict[str, bytes]], dict[str, Any]]:
    return cast("Callable[[dict[str, bytes]], dict[str, Any]]", _imported(file.converter))


def _content_check(file: WeightsFile) -> Callable[[Path], None] | None:
    """Of a file whose checksum is not known."""
    needed = file.check and not file.sha256
    return cast("Callable[[Path], None]", _imported(file.check)) if needed else None


def _imported(target: str) -> Any:
    """Imported by name: the function belongs to a package above this module."""
    module, _, function = target.partition(":")
    return getattr(importlib.import_module(module), function)


def _scaled(progress: Progress | None, wheel: Wheel) -> wheels.Progress | None:
    if progress is None:
        return None
    return lambda done: progress(min(done, wheel.size), wheel.size)


def _state_of_absent(file: WeightsFile) -> State:
    if file.wheel is not None and wheels.installed(file.wheel):
        return State.INSTALLED
    return (
        State.PARTIAL
        if download.part_of(cache_folder() / file.filename).is_file()
        else State.ABSENT
    )


def _pinned_sha256(file: WeightsFile, path: Path) -> str:
    """The catalogue's checksum; for a file in an installed package, the wheel member's."""
    if file.wheel is not None:
        return next((m.sha256 for m in file.wheel.members if m.name == path.name), "")
    return file.sha256


def _metadata(path: Path) -> dict[str, str]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError):
        return {}


def _addresses(file: WeightsFile) -> tuple[str, ...]:
    """`$AV_TAGGER_MIRROR` replaces every host: one folder with all files by their names."""
    mirror = os.environ.get("AV_TAGGER_MIRROR")
    return (f"{mirror.rstrip('/')}/{file.filename}",) if mirror else file.urls


def is_right(file: WeightsFile, path: Path) -> bool:
    """Size, then checksum where one is known, else content: nothing else counts as fetched."""
    if not is_plausible(file, path):
        return False
    known = _pinned_sha256(file, path) or download.recorded_sha256(path)
    if known and checksums.sha256_of(path) != known:
        return False
    check = _content_check(file)
    try:
        if check is not None:
            check(path)
    except WeightsError:
        return False
    return True


def is_plausible(file: WeightsFile, path: Path) -> bool:
    """The size is that of the catalogue or of the safetensors header: faster than a checksum."""
    size = path.stat().st_size
    if file.size is not None:
        return size == file.size
    return size > 0 if path.suffix != ".safetensors" else safetensors_shapes(path) is not None
