"""Decoding on the engines of a card, with stand-ins: a decoder on the CPU, and a fake library."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
import torch

from av_tagger.bench.clips import make_clip
from av_tagger.clip import Clip, Frames, Media
from av_tagger.errors import MediaError, MissingExtra, UsageError
from av_tagger.media import Decoder, DecoderPool
from av_tagger.protocols import DecodeRequest
from av_tagger.runner import engines
from av_tagger.runner.engines import (
    ENGINES,
    EngineDecoder,
    EngineError,
    NvdecEngine,
    decoding,
    engines_of,
    suits,
)
from av_tagger.runner.profile import Profile, title
from av_tagger.runner.profiler import Profiler
from av_tagger.stages import watched
from av_tagger.video.card_frames import CardFrames, planes_of_nv12
from av_tagger.video.features import Compute
from av_tagger.video.load import thumbnail
from av_tagger.video.pixels import prepare

REQUEST = DecodeRequest(audio_rate=8000, short_side=64, window_seconds=1.0, overlap_seconds=0.25)
LIMIT = 60.0


class CoresFilm:
    """All frames as NV12, decoded by the cores."""

    def __init__(self, path: Path, last: int | None) -> None:
        with av.open(str(path)) as container:
            frames = [f.reformat(format="nv12") for f in container.decode(video=0)][:last]
        self.pictures = torch.from_numpy(np.stack([f.to_ndarray() for f in frames]))
        self.at = 0

    def read(self, count: int) -> torch.Tensor:
        self.at += count
        return self.pictures[self.at - count : self.at]


class CoresEngine:
    """Stands in for an engine; it may refuse files, or break off after some frames."""

    def __init__(self, refuse: bool = False, last: int | None = None) -> None:
        self.refuse, self.last, self.opened = refuse, last, 0

    def open(self, path: Path) -> CoresFilm:
        if self.refuse:
            raise EngineError("made up")
        self.opened += 1
        return CoresFilm(path, self.last)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("films") / "a.mp4", "h264", (256, 144), 3.0)


def cores() -> Decoder:
    return DecoderPool(isolated=False).decoder()


def windows(decoder: Decoder, path: Path, request: DecodeRequest = REQUEST) -> list[Media]:
    return [copied(media) for media in decoder.windows(Clip(path), request, LIMIT)]


def copied(media: Media) -> Media:
    """Decoders use their memory again."""
    if media.frames is None or isinstance(media.frames, CardFrames):
        return media
    return replace(media, frames=replace(media.frames, images=media.frames.images.copy()))


def pixels(frames: Frames | None) -> np.ndarray:
    assert frames is not None
    return np.asarray(frames.images).astype(int)


def assert_alike(ours: list[Media], expected: list[Media]) -> None:
    assert len(ours) == len(expected) > 0
    for one, other in zip(ours, expected, strict=True):
        assert (one.start_seconds, one.end_seconds) == (other.start_seconds, other.end_seconds)
        assert one.frames is not None
        assert other.frames is not None
        np.testing.assert_array_equal(one.frames.times, other.frames.times)
        np.testing.assert_array_equal(
            one.frames.first_equal,
            other.frames.first_equal,  # type: ignore[arg-type]
        )
        assert (one.frames.luma, one.frames.size) == (other.frames.luma, other.frames.size)
        assert np.abs(pixels(one.frames) - pixels(other.frames)).max() <= 1
        assert (one.waveform is None) == (other.waveform is None)
        if one.waveform is not None and other.waveform is not None:
            np.testing.assert_array_equal(one.waveform.samples, other.waveform.samples)


@pytest.mark.parametrize(
    "request_",
    [
        REQUEST,
        replace(REQUEST, short_side=144),
        replace(REQUEST, frame_rate=8.0),
        replace(REQUEST, window_seconds=10.0),
        replace(REQUEST, audio_rate=None),
    ],
    ids=["halved", "whole", "8 fps", "one window", "no sound"],
)
def test_windows_are_those_of_the_cores(clip: Path, request_: DecodeRequest) -> None:
    """The same cuts, times, sound and pictures, also where windows overlap."""
    engine = CoresEngine()
    decoder = EngineDecoder(engine, cores())
    found = windows(decoder, clip, request_)
    assert all(isinstance(media.frames, CardFrames) for media in found)
    assert_alike(found, windows(cores(), clip, request_))
    assert (engine.opened, decoder.opened, decoder.left_to_cores) == (1, 1, 0)


def test_reordered_frames_have_the_numbers_of_their_places(tmp_path: Path) -> None:
    """hevc and h264 show frames in another order than they store them."""
    path = make_clip(tmp_path / "a.mp4", "hevc", (256, 144), 1.0)
    assert_alike(windows(EngineDecoder(CoresEngine(), cores()), path), windows(cores(), path))


@pytest.mark.parametrize("engine", [CoresEngine(refuse=True), CoresEngine(last=1)])
def test_what_an_engine_cannot_open_is_left_to_the_cores(clip: Path, engine: CoresEngine) -> None:
    decoder = EngineDecoder(engine, cores())
    found = windows(decoder, clip)
    assert not any(isinstance(media.frames, CardFrames) for media in found)
    assert_alike(found, windows(cores(), clip))
    assert (decoder.opened, decoder.left_to_cores) == (0, 1)


def test_a_film_that_breaks_off_goes_on_with_the_cores(clip: Path) -> None:
    """No window is given twice, and none is lost."""
    decoder = EngineDecoder(CoresEngine(last=40), cores())
    found = windows(decoder, clip)
    kinds = [isinstance(media.frames, CardFrames) for media in found]
    assert kinds[0]
    assert not kinds[-1]
    assert_alike(found, windows(cores(), clip))


def test_only_whole_files_in_plain_pixels_go_to_an_engine(tmp_path: Path, clip: Path) -> None:
    assert suits(Clip(clip), REQUEST)
    assert not suits(Clip(clip, 2.0), REQUEST)
    assert not suits(Clip(clip), replace(REQUEST, skip_nonref=True))
    assert not suits(Clip(clip), replace(REQUEST, short_side=None))
    engine = CoresEngine()
    decoder = EngineDecoder(engine, cores())
    for codec in ("mpeg4", "vp9"):
        path = make_clip(tmp_path / f"{codec}.mp4", codec, (96, 64), 1.0)
        assert_alike(windows(decoder, path), windows(cores(), path))
    assert (engine.opened, decoder.left_to_cores) == (0, 2)


def test_a_file_that_is_broken_is_the_error_of_the_cores(tmp_path: Path) -> None:
    path = tmp_path / "bad.mp4"
    path.write_bytes(b"\0" * 5000)
    with pytest.raises(MediaError, match=r"bad\.mp4"):
        windows(EngineDecoder(CoresEngine(), cores()), path)


def test_an_interrupt_is_not_a_reason_to_begin_again(clip: Path) -> None:
    asked: list[bool] = []

    class Stopped:
        in_process = False

        def windows(self, clip: Clip, request: DecodeRequest, limit: float) -> Iterator[Media]:
            asked.append(request.numbered)
            decoder.interrupt()
            raise MediaError(clip.path, "was interrupted", "none")

        def interrupt(self) -> None:
            pass

        def close(self) -> None:
            pass

    decoder = EngineDecoder(CoresEngine(), Stopped())
    with pytest.raises(MediaError, match="interrupted"):
        windows(decoder, clip)
    assert asked == [True]


def test_the_eye_reads_pictures_of_a_card_as_it_reads_others(clip: Path) -> None:
    (there,) = windows(
        EngineDecoder(CoresEngine(), cores()), clip, replace(REQUEST, window_seconds=10.0)
    )
    (here,) = windows(cores(), clip, replace(REQUEST, window_seconds=10.0))
    assert there.frames is not None
    assert here.frames is not None
    describe = thumbnail(Compute())
    ours, expected = describe.describe([there.frames])[0], describe.describe([here.frames])[0]
    assert (ours - expected).abs().max() < 2 / 255
    rows = np.array([0, 5, 30])
    assert np.abs(there.frames.rgb(rows).astype(int) - here.frames.rgb(rows)).max() <= 2
    cpu = torch.device("cpu")
    off = (
        prepare(there.frames, rows, describe.geometry, cpu).values.int()
        - prepare(here.frames, rows, describe.geometry, cpu).values.int()
    )
    assert off.abs().max() <= 1
    for ours_, expected_ in zip(there.frames.planes(), here.frames.planes(), strict=True):
        assert np.abs(ours_.astype(int) - expected_).max() <= 1


def test_nv12_becomes_planes() -> None:
    """Two rows of luma over one row of pairs; halved: the rounded mean of 2 x 2."""
    nv12 = torch.arange(4 * 6, dtype=torch.uint8).reshape(1, 6, 4)
    whole = planes_of_nv12(nv12, 0)
    assert whole.flatten().tolist() == [*range(16), 16, 18, 20, 22, 17, 19, 21, 23]
    half = planes_of_nv12(nv12, 1)
    assert half.shape == (1, 3, 2)
    assert half.flatten().tolist() == [3, 5, 11, 13, 19, 20]


def test_frames_of_a_card_are_planes_with_a_time_each() -> None:
    luma: Any = object()
    images: Any = torch.zeros((2, 6, 4), dtype=torch.uint8)
    with pytest.raises(ValueError, match="planes"):
        CardFrames(images, np.zeros(2))
    with pytest.raises(ValueError, match="one time per frame"):
        CardFrames(images, np.zeros(3), luma=luma)


class SimpleDecoder:
    """Stands in for that of PyNvVideoCodec."""

    made: list[SimpleDecoder] = []  # noqa: RUF012 - shared on purpose

    def __init__(self, path: str, **settings: Any) -> None:
        assert settings["use_device_memory"]
        self.path, self.settings, self.again = path, settings, 0
        self.made.append(self)

    def reconfigure_decoder(self, path: str) -> None:
        if path.endswith("hevc"):
            raise RuntimeError("another codec")
        self.path, self.again = path, self.again + 1

    def __len__(self) -> int:
        return 5

    def __getitem__(self, i: int) -> torch.Tensor:
        return torch.full((6, 4), i, dtype=torch.uint8)


def test_the_time_of_engines_is_a_part_of_decoding_in_the_profile(clip: Path) -> None:
    noted = Profiler()
    decoder = EngineDecoder(CoresEngine(), cores())
    with watched(noted.of), noted.of("decode"):
        windows(decoder, clip)
    profile = Profile.of([("here", noted.as_text())])
    assert [title(row.stage) for row in profile.rows()] == ["decode", "  engines of the card"]
    decode, part = profile.rows()
    assert 0 < part.seconds < decode.seconds


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> type[SimpleDecoder]:
    monkeypatch.setitem(
        sys.modules,
        engines.LIBRARY,
        SimpleNamespace(SimpleDecoder=SimpleDecoder),  # type: ignore[arg-type]
    )
    SimpleDecoder.made.clear()
    return SimpleDecoder


def test_a_decoder_is_kept_from_file_to_file(library: type[SimpleDecoder]) -> None:
    engine = NvdecEngine("cuda:1")
    for name in ("a.h264", "b.h264", "c.hevc", "d.h264"):
        film = engine.open(Path(name))
        read = [film.read(2)[:, 0, 0].tolist() for _ in range(4)]
        assert read == [[0, 1], [2, 3], [4], []]
    assert [decoder.again for decoder in library.made] == [1, 1]
    assert library.made[0].settings["gpu_id"] == 1


@pytest.mark.parametrize("when", ["open", "reconfigure", "read"])
def test_what_the_library_refuses_is_an_error_of_the_engine(
    library: type[SimpleDecoder], when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It raises plain `Exception`: the cores decode such a file, and the run goes on."""

    def refused(*_: object, **__: object) -> None:
        raise Exception("Elementary streams not supported")  # noqa: TRY002 - as the library does

    engine = NvdecEngine("cuda")
    if when == "open":
        monkeypatch.setattr(library, "__init__", refused)
        with pytest.raises(EngineError, match="PyNvVideoCodec: Elementary streams"):
            engine.open(Path("a.h264"))
        return
    film = engine.open(Path("a.h264"))
    if when == "read":
        monkeypatch.setattr(library, "__getitem__", refused)
        with pytest.raises(EngineError, match="PyNvVideoCodec: Elementary streams"):
            film.read(1)
        return
    monkeypatch.setattr(library, "reconfigure_decoder", refused)
    engine.open(Path("b.h264"))
    assert [decoder.path for decoder in library.made] == ["a.h264", "b.h264"]


def test_which_engines_a_run_has(
    library: type[SimpleDecoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    def count(mode: str, device: str) -> int:
        return len(engines_of(mode, device))

    assert count("auto", "cuda") == count("nvdec", "cuda:1") == ENGINES
    assert count("auto", "cpu") == count("cores", "cuda") == count("cores", "cpu") == 0
    assert "7 engines of cuda" in decoding("auto", "cuda")
    assert "each process" in decoding("nvdec", "auto")
    assert decoding("auto", "cpu") == "pictures are decoded by the cores"
    with pytest.raises(UsageError, match="needs a CUDA device"):
        engines_of("nvdec", "cpu")
    with pytest.raises(UsageError, match="expected one of auto, cores, nvdec"):
        engines_of("nvdeck", "cuda")
    monkeypatch.setitem(sys.modules, engines.LIBRARY, None)  # type: ignore[arg-type]
    assert count("auto", "cuda") == 0
    with pytest.raises(MissingExtra, match=r"pip install PyNvVideoCodec .extra 'nvdec'"):
        engines_of("nvdec", "cuda")
