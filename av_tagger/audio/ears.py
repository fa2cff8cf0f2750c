"""The only reader of ear names: `resolve` makes plain data of them, `load` builds the network."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from av_tagger import weights
from av_tagger.audio.ear_source import EarSource
from av_tagger.audio.ensemble_file import FILE as ENSEMBLE
from av_tagger.audio.ensemble_file import read_ensemble
from av_tagger.audio.header import KEY, EarThresholds, Header, parse_header, read_metadata
from av_tagger.audio.known.families import FAMILIES
from av_tagger.audio.settings import EarSettings
from av_tagger.errors import AvTaggerError, UsageError, WeightsError, did_you_mean, sentence
from av_tagger.protocols import EmbeddingBranch
from av_tagger.scores import BranchInfo, Status
from av_tagger.weights_ref import WeightsRef, of_entry, of_file

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from av_tagger.audio.known.ear import KnownEar
    from av_tagger.protocols import AudioBranch

PUBLISHED = ("efficientat.mn20", "efficientat.mn10", "efficientat.mn04", "yamnet")  # best first
EMBEDDERS = (*PUBLISHED, "vggish")  # published networks whose embeddings can be used
DOWNLOADED = "efficientat.mn10"  # by `auto`: 19 MB, nearly as good as the largest
STARTER = "starter"  # comes with the package
SHORT = {STARTER: "crnn.starter", "efficientat": "efficientat.mn10"}
RUN_FILE = "best.safetensors"  # in the folder of a training run


def resolve(name: str | Path, *, offline: bool = False) -> EarSource:
    """`auto`, a name, a weights file or the folder of a training run. Downloads nothing."""
    text, path = str(name), Path(name)
    if text == "auto":
        return _best(offline=offline)
    if path.is_dir():
        if (path / ENSEMBLE).is_file():
            return _ensemble(path / ENSEMBLE, str(path.resolve()))
        return _of_file(path / RUN_FILE, text)
    if path.is_file() or path.suffix in (".safetensors", ".pt"):
        return _of_file(path, text)
    given = text.replace(":", ".", 1)
    entry = SHORT.get(given, given)
    if entry in EMBEDDERS:
        return _of_entry(entry)
    if entry not in weights.CATALOGUE:
        hint = did_you_mean(given, [STARTER, *PUBLISHED])
        raise UsageError(
            f"there is no ear {text!r}; {hint} "
            "(or give a weights file or the folder of a training run)"
        )
    return _trained(weights.fetch(entry, offline=offline), text, entry)


def fetched(
    source: EarSource, *, offline: bool = False, progress: weights.Progress | None = None
) -> EarSource:
    """The same ear with all files on this machine, or its fallback where a download fails."""
    if source.is_here:
        return source
    try:
        for part in source.all_parts:
            if part.file.path is None:
                _fetch(part.file.entry, offline=offline, progress=progress)
    except AvTaggerError as error:
        if source.fallback:
            return _instead(source.fallback, f"{source.name} cannot be downloaded", error)
        if source.kind == "embedded":
            raise _unusable(source, error) from error
        raise
    return replace(resolve(source.name), reason=source.reason, advice=source.advice)


def load(
    source: EarSource, device: torch.device | str = "auto", settings: EarSettings | None = None
) -> AudioBranch:
    """The ear, with its network on the device."""
    loader = LOADERS.get(source.kind, _load_published)
    return loader(source, device, settings or EarSettings())


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
    """An ear with a higher published score and how to get it; empty if there is none."""
    rank = PUBLISHED.index(source.name) if source.name in PUBLISHED else len(PUBLISHED)
    named = source.kind == "trained" and source.file.entry == ""
    better = next((n for n in (DOWNLOADED, PUBLISHED[0]) if PUBLISHED.index(n) < rank), None)
    if better is None or named or source.kind in ("embedded", "ensemble"):
        return ""
    return f"{better} ({weights.entry(better).about}): `av-tag weights fetch {better}`"


def resolve_published() -> EarSource:
    """The best published ear on this machine, else the one that is downloaded."""
    return _best_here(offline=False)[0] or resolve(DOWNLOADED)


def _best(*, offline: bool) -> EarSource:
    """The best published ear on this machine, else one to download, else the starter."""
    found, problems = _best_here(offline=offline)
    if found is not None:
        source = replace(found, fallback=STARTER, reason="the best ear on this machine")
    elif offline or problems:
        source = replace(resolve(STARTER), reason="no other ear is on this machine")
    else:
        source = replace(
            resolve(DOWNLOADED),
            fallback=STARTER,
            reason="downloaded on first use, or else the starter",
        )
    said = tuple(f"{problem}; the {source.name} ear is used instead" for problem in problems)
    return replace(source, advice=said)


def _best_here(*, offline: bool) -> tuple[EarSource | None, list[str]]:
    """The best published ear whose weights are on this machine, and what is wrong with others."""
    problems: list[str] = []
    for name in PUBLISHED:
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
    return replace(resolve(name), reason=problem, advice=advice)


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
        raise WeightsError(_cannot_listen(header, error)) from error
    info = BranchInfo(Status.OK, f"{_model(header)} on {base.info.weights}", header.name)
    return EarSource(name, "embedded", info, file, base.rate, header.labels, header, parts=(base,))


def _base(name: str) -> EarSource:
    """A published ear, for its embeddings."""
    source = resolve(name)
    if source.kind not in (*FAMILIES, "trained"):
        known = f"{', '.join(EMBEDDERS)}, or the folder of a run on sound"
        raise UsageError(f"the ear {name!r} gives no embeddings; known: {known}")
    return source


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
    """A member is a weights file or a run; of a run with its own ensemble the best weights."""
    return _of_file(Path(path) / RUN_FILE if Path(path).is_dir() else Path(path), path)


def _model(header: Header) -> str:
    return f"{header.architecture.extractor}, {header.architecture.pooling} pooling"


def _moved(name: str) -> str:
    """A weights file may have moved since the training: then any of its name will do."""
    path = Path(name)
    if path.suffix not in (".pt", ".safetensors") or path.is_file():
        return name
    found = weights.find(path.name)
    if found is None:
        where = f"put it back, or into {weights.cache_folder()}"
        raise WeightsError(sentence(path, "there is no such weights file", where))
    return str(found)


def _unusable(source: EarSource, error: AvTaggerError) -> WeightsError:
    assert source.header is not None
    return WeightsError(_cannot_listen(source.header, error))


def _cannot_listen(header: Header, error: AvTaggerError) -> str:
    return f"the run {header.name} listens through {header.embedder}, which cannot be used: {error}"


def _fetch(entry: str, *, offline: bool = False, progress: weights.Progress | None = None) -> Path:
    if entry == "yamnet":
        from av_tagger.audio.known.convert import fetch_yamnet

        return fetch_yamnet(offline=offline, progress=progress)
    if entry == "vggish":
        from av_tagger.audio.known.vggish_files import fetch_vggish

        return fetch_vggish(offline=offline, progress=progress)
    return weights.fetch(entry, offline=offline, progress=progress)


def _here(source: EarSource) -> Path:
    entry = source.file.entry
    return source.file.here(partial(_fetch, entry) if entry else None)


def _load_trained(
    source: EarSource, device: torch.device | str, settings: EarSettings
) -> AudioBranch:
    from av_tagger.audio.branch import MilEar
    from av_tagger.audio.checkpoint import load_checkpoint

    network, header = load_checkpoint(_here(source))
    return MilEar(network, header, device, settings)


def _load_embedded(
    source: EarSource, device: torch.device | str, settings: EarSettings
) -> AudioBranch:
    from av_tagger.audio.checkpoint import load_checkpoint
    from av_tagger.audio.known.on_embeddings import EmbeddedEar

    network, header = load_checkpoint(_here(source))
    try:
        base = load(source.parts[0], device, settings)
        assert isinstance(base, EmbeddingBranch)
        return EmbeddedEar(base, network, header, settings)
    except (WeightsError, UsageError) as error:
        raise _unusable(source, error) from error


def _load_published(
    source: EarSource, device: torch.device | str, settings: EarSettings
) -> KnownEar:
    from av_tagger.audio.known.ear import KnownEar, read_network

    del settings  # published networks run in float32
    network = read_network(source.kind, _here(source))
    assert source.info.weights is not None
    return KnownEar(source.info.weights, FAMILIES[source.kind], network, device)


def _load_ensemble(
    source: EarSource, device: torch.device | str, settings: EarSettings
) -> AudioBranch:
    from av_tagger.audio.ensemble import EnsembleEar, share_embedders

    assert source.header is not None
    members = [load(part, device, settings) for part in source.parts]
    ensemble = replace(read_ensemble(source.file.here()), labels=source.labels)
    return EnsembleEar(share_embedders(members), ensemble, source.header)


LOADERS: dict[str, Callable[[EarSource, torch.device | str, EarSettings], AudioBranch]] = {
    "trained": _load_trained,
    "embedded": _load_embedded,
    "ensemble": _load_ensemble,
}
