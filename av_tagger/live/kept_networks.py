"""Networks that keep what overlapping windows share: patches of YAMNet, features of a CRNN."""

from __future__ import annotations

import copy
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from av_tagger.audio.branch import MilEar
from av_tagger.audio.extractors.crnn import Crnn
from av_tagger.audio.extractors.segments import Vgg3
from av_tagger.audio.frontend import LogMel
from av_tagger.audio.known.ear import KnownEar
from av_tagger.audio.known.files import Network
from av_tagger.audio.known.yamnet import HOP, PATCH, PATCH_HOP, WINDOW, YAMNet, filled
from av_tagger.live.memory import Kept, chunk_of

M = TypeVar("M", bound=nn.Module)

PATCH_SAMPLES = (PATCH - 1) * HOP + WINDOW
CHUNKS, PATCHES, SEGMENTS = 40, 64, 8  # how many are kept


def kept_known(ear: KnownEar) -> KnownEar:
    """A published ear: YAMNet keeps patches, others whole windows."""
    twin = copy.copy(ear)
    network = cast("nn.Module", ear.network)
    kept = KeptPatches(network) if isinstance(network, YAMNet) else KeptSegments(network)
    twin.network = cast("Network", kept)
    return twin


def kept_trained(ear: MilEar) -> MilEar:
    """A trained ear: spectrogram frames are kept, and what its convolutions make of them."""
    twin = copy.copy(ear)
    front, extractor, chunk = ear.quick.frontend, ear.quick.extractor, chunk_of(ear)
    assert front is not None
    twin.quick = _with(ear.quick, frontend=KeptLogMel(front, chunk * extractor.stride))
    if isinstance(extractor, Crnn):
        kept = KeptConvolutions(extractor, chunk)
        twin.quick = _with(twin.quick, extractor=_with(extractor, convolutions=kept))
    elif isinstance(extractor, Vgg3):
        twin.quick = _with(twin.quick, extractor=KeptInstances(extractor))
    return twin


def _with(module: M, **children: nn.Module) -> M:
    """A shallow copy with other children; parameters are shared."""
    twin = copy.copy(module)
    twin.__dict__["_modules"] = {**module.__dict__["_modules"], **children}
    return twin


class KeptPatches(nn.Module):
    """YAMNet on one waveform; a patch of samples that was seen before costs nothing."""

    def __init__(self, network: YAMNet) -> None:
        super().__init__()
        self.network = network
        self.width = network.width
        self.kept: Kept[Tensor] = Kept(PATCHES)

    def embed(self, waveforms: Tensor) -> Tensor:
        return self.network.embed(waveforms)

    def forward(self, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        if len(waveforms) != 1:
            bags, frames = self.network(waveforms)
            return bags, frames
        padding = filled(waveforms.shape[1]) - waveforms.shape[1]
        samples = nn.functional.pad(waveforms[0].float(), (0, padding))
        patches = samples.unfold(0, PATCH_SAMPLES, PATCH_HOP * HOP)

        def compute(rows: list[int]) -> list[Tensor]:
            return list(self.network.head(self.network.embed(patches[rows]))[:, 0])

        frames = torch.stack(self.kept.all(list(patches.cpu().numpy()), compute))[None]
        return frames.mean(dim=1), frames


class KeptSegments(nn.Module):
    """A network that hears a window as a whole: equal windows are computed once."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.width = cast("Network", network).width
        self.kept: Kept[tuple[Tensor, Tensor]] = Kept(SEGMENTS)

    def embed(self, waveforms: Tensor) -> Tensor:
        return cast("Network", self.network).embed(waveforms)

    def forward(self, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        def compute(rows: list[int]) -> list[tuple[Tensor, Tensor]]:
            bags, frames = self.network(waveforms[rows])
            return list(zip(bags, frames, strict=True))

        found = self.kept.all(list(waveforms.cpu().numpy()), compute)
        bags, frames = zip(*found, strict=True)
        return torch.stack(bags), torch.stack(frames)


class KeptLogMel(nn.Module):
    """A front end on one waveform, in chunks of frames."""

    def __init__(self, front: LogMel, frames: int) -> None:
        super().__init__()
        self.front, self.frames, self.settings = front, frames, front.settings
        self.kept: Kept[Tensor] = Kept(CHUNKS)

    def silence(self) -> Tensor:
        return self.front.silence()

    def forward(self, waveforms: Tensor) -> Tensor:
        s = self.settings
        if len(waveforms) != 1 or s.deltas:
            features: Tensor = self.front(waveforms)
            return features
        with torch.autocast(waveforms.device.type, enabled=False):
            x = self.front.padded(waveforms.float())[0]
            count = (len(x) - s.fft) // s.hop + 1
            spans = [(a, min(a + self.frames, count)) for a in range(0, count, self.frames)]
            parts = [x[a * s.hop : (b - 1) * s.hop + s.fft] for a, b in spans]

            def compute(rows: list[int]) -> list[Tensor]:
                return [self.front.of_padded(parts[i][None])[0] for i in rows]

            return torch.cat(self.kept.all([p.cpu().numpy() for p in parts], compute))[None, None]


class KeptConvolutions(nn.Module):
    """The convolutions of a CRNN on one clip, in chunks with as much context as they reach."""

    def __init__(self, extractor: Crnn, chunk: int) -> None:
        super().__init__()
        self.inner = extractor.convolutions
        self.stride, self.chunk = extractor.stride, chunk
        self.context = -(-reach(extractor) // self.stride)  # instances
        self.kept: Kept[Tensor] = Kept(CHUNKS)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, M) to (B, channels, instances, bands)."""
        if len(x) != 1:
            y: Tensor = self.inner(x)
            return y
        count, edge, stride = x.shape[2] // self.stride, self.context, self.stride
        spans = [(a, min(a + self.chunk, count)) for a in range(0, count, self.chunk)]
        parts = [x[0, :, max(0, a - edge) * stride : (b + edge) * stride] for a, b in spans]

        def compute(rows: list[int]) -> list[Tensor]:
            return [self._chunk(parts[i], *spans[i]) for i in rows]

        # The ends are padded with zeros, so a chunk there is not the same chunk elsewhere.
        marks = [
            torch.full((1,), float((a < max(edge, 1)) + 2 * (b + edge > count))) for a, b in spans
        ]
        keys = [
            torch.cat([m, p.reshape(-1).cpu()]).numpy() for m, p in zip(marks, parts, strict=True)
        ]
        return torch.cat(self.kept.all(keys, compute), dim=1)[None]

    def _chunk(self, part: Tensor, a: int, b: int) -> Tensor:
        y: Tensor = self.inner(part[None].contiguous(memory_format=torch.channels_last))[0]
        skip = min(a, self.context)
        return y[:, skip : skip + b - a]


class KeptInstances(nn.Module):
    """An extractor whose instances do not depend on each other: each is computed once."""

    def __init__(self, inner: Vgg3) -> None:
        super().__init__()
        self.inner = inner
        self.stride, self.width, self.shape = inner.stride, inner.width, inner.shape
        self.kept: Kept[Tensor] = Kept(2 * CHUNKS)

    def levels(self, features: Tensor) -> tuple[Tensor, ...]:
        return (self(features),)

    def forward(self, features: Tensor) -> Tensor:
        if len(features) != 1:
            y: Tensor = self.inner(features)
            return y
        parts = torch.split(features, self.stride, dim=2)

        def compute(rows: list[int]) -> list[Tensor]:
            return list(self.inner(torch.cat([parts[i] for i in rows]))[:, 0])

        return torch.stack(self.kept.all([p.cpu().numpy() for p in parts], compute))[None]


def reach(extractor: Crnn) -> int:
    """Frames on each side that an instance depends on beyond its own."""
    frames, scale = 0, 1
    for time, _ in extractor.settings.pools:
        frames += extractor.settings.kernel[0] // 2 * scale
        scale *= time
    return frames
