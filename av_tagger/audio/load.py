"""Ears into networks: one loader for each kind of ear; missing weights are downloaded."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from av_tagger import weights
from av_tagger.audio.combination import YAMNET, calibration_of, part_names
from av_tagger.audio.ear_source import COMBINED, ONNX, EarSource
from av_tagger.audio.ensemble_file import read_ensemble
from av_tagger.audio.header import Header
from av_tagger.audio.known.families import FAMILIES
from av_tagger.audio.settings import EarSettings
from av_tagger.errors import AvTaggerError, UsageError, WeightsError
from av_tagger.protocols import EmbeddingBranch

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from av_tagger.audio.calibration import EmbeddingHead
    from av_tagger.audio.known.ear import KnownEar
    from av_tagger.protocols import AudioBranch

VGGISH = "vggish"  # embeddings only


def load(
    source: EarSource, device: torch.device | str = "auto", settings: EarSettings | None = None
) -> AudioBranch:
    """The ear, with its network on the device."""
    loader = LOADERS.get(source.kind, _load_published)
    return loader(source, device, settings or EarSettings())


def unusable(source: EarSource, error: AvTaggerError) -> WeightsError:
    assert source.header is not None
    return WeightsError(cannot_listen(source.header, error))


def cannot_listen(header: Header, error: AvTaggerError) -> str:
    return f"the run {header.name} listens through {header.embedder}, which cannot be used: {error}"


def fetch_weights(
    entry: str,
    *,
    offline: bool = False,
    retry: bool = True,
    progress: weights.Progress | None = None,
) -> Path:
    if entry == YAMNET:
        from av_tagger.audio.known.convert import fetch_yamnet

        return fetch_yamnet(offline=offline, retry=retry, progress=progress)
    if entry == VGGISH:
        from av_tagger.audio.known.vggish_files import fetch_vggish

        return fetch_vggish(offline=offline, progress=progress)
    return weights.fetch(entry, offline=offline, retry=retry, progress=progress)


def _here(source: EarSource) -> Path:
    entry = source.file.entry
    return source.file.here(partial(fetch_weights, entry) if entry else None)


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
        raise unusable(source, error) from error


def _load_ensemble(
    source: EarSource, device: torch.device | str, settings: EarSettings
) -> AudioBranch:
    from av_tagger.audio.ensemble import EnsembleEar, share_embedders

    assert source.header is not None
    members = [load(part, device, settings) for part in source.parts]
    ensemble = read_ensemble(source.file.here())
    return EnsembleEar(share_embedders(members), ensemble, source.header)


def _load_combined(
    source: EarSource, device: torch.device | str, settings: EarSettings
) -> AudioBranch:
    from av_tagger.audio.combined import CombinedEar

    calibration = calibration_of(part_names(source.calibrated_as))
    if calibration.digest != source.digest:
        raise WeightsError(
            f"the calibration of {source.name} is not that of this run; "
            "give every machine the same files"
        )
    wearer = {calibration.parts[s.part] for s in calibration.sources if s.head}
    parts = [
        _load_published(part, device, settings, calibration.head)
        if part.name in wearer
        else load(part, device, settings)
        for part in source.parts
    ]
    return CombinedEar(parts, calibration)


def _load_exported(
    source: EarSource, device: torch.device | str, settings: EarSettings
) -> AudioBranch:
    from av_tagger.audio.onnx_ear import OnnxEar

    del device, settings  # onnxruntime on the CPU, in the float32 of the file
    return OnnxEar(source.file.here())


def _load_published(
    source: EarSource,
    device: torch.device | str,
    settings: EarSettings,
    head: EmbeddingHead | None = None,
) -> KnownEar:
    from av_tagger.audio.known.ear import KnownEar, widened
    from av_tagger.audio.known.files import read_network

    del settings  # published networks run in float32
    network, family = read_network(source.kind, _here(source)), FAMILIES[source.kind]
    assert source.info.weights is not None
    if head is not None:
        family = widened(source.name, family, network, head)
    return KnownEar(source.info.weights, family, network, device)


LOADERS: dict[str, Callable[[EarSource, torch.device | str, EarSettings], AudioBranch]] = {
    COMBINED: _load_combined,
    "trained": _load_trained,
    "embedded": _load_embedded,
    "ensemble": _load_ensemble,
    ONNX: _load_exported,
}
