from __future__ import annotations

import pickle
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from av_tagger.clip import Clip, Media, Waveform
from av_tagger.errors import MediaError, StorageError
from av_tagger.learning.data.store import StoreSettings, build_store, decode_clip
from av_tagger.media.decoder_pool import DecoderPool
from av_tagger.protocols import DecodeRequest
from tests import ROOT
from tests.learning.tones import sing, write_wav

Pcm = NDArray[np.int16]


def clips(folder: Path, count: int) -> list[Clip]:
    """Files whose size says how long they are."""
    for i in range(count):
        (folder / f"{i}.wav").write_bytes(b"x" * (i + 1))
    return [Clip(folder / f"{i}.wav") for i in range(count)]


class Decoder:
    """Counts what it decodes; sample n of clip i is 100 i + n."""

    def __init__(self, *broken: str) -> None:
        self.decoded: list[str] = []
        self.broken = broken
        self.stop_at = ""

    def __call__(self, clip: Clip, rate: int, longest: float) -> Pcm:
        if clip.path.name == self.stop_at:
            raise KeyboardInterrupt
        self.decoded.append(clip.path.name)
        if clip.path.name in self.broken:
            raise MediaError(clip.path, "is not media")
        return np.arange(clip.path.stat().st_size * 10, dtype=np.int16) + 100 * int(clip.path.stem)


SETTINGS = StoreSettings(rate=100, shard_clips=3)


def test_clips_are_stored_as_they_were_decoded(tmp_path: Path) -> None:
    store = build_store(clips(tmp_path, 8), tmp_path / "store", SETTINGS, decode=Decoder())
    assert store.samples.tolist() == [10, 20, 30, 40, 50, 60, 70, 80]
    assert [int(store.read(i)[0]) for i in range(8)] == [0, 100, 200, 300, 400, 500, 600, 700]
    assert store.read(7, 75, 50).tolist() == [775, 776, 777, 778, 779]  # a clip ends where it ends
    assert store.read(4, 3, 2).tolist() == [403, 404]


def test_stored_clips_are_not_decoded_again(tmp_path: Path) -> None:
    ours, decoder = clips(tmp_path, 7), Decoder()
    first = build_store(ours, tmp_path / "store", SETTINGS, decode=decoder)
    (tmp_path / "4.wav").write_bytes(b"changed")
    seen: list[tuple[int, int]] = []
    second = build_store(
        ours,
        tmp_path / "store",
        SETTINGS,
        decode=decoder,
        progress=lambda done, of: seen.append((done, of)),
    )
    assert decoder.decoded == [
        f"{i}.wav" for i in (0, 1, 2, 3, 4, 5, 6, 3, 4, 5)
    ]  # only the shard of the changed file
    assert second.samples[4] == 70
    assert first.sha256 != second.sha256
    assert seen[-1] == (7, 7)


def test_an_interrupted_build_is_continued(tmp_path: Path) -> None:
    ours, decoder = clips(tmp_path, 7), Decoder()
    decoder.stop_at = "4.wav"
    with pytest.raises(KeyboardInterrupt):
        build_store(ours, tmp_path / "store", SETTINGS, decode=decoder)
    assert not list((tmp_path / "store").glob("*.part"))
    decoder.stop_at = ""
    decoder.decoded.clear()
    resumed = build_store(ours, tmp_path / "store", SETTINGS, decode=decoder)
    assert decoder.decoded == ["3.wav", "4.wav", "5.wav", "6.wav"]
    assert (
        resumed.sha256 == build_store(ours, tmp_path / "other", SETTINGS, decode=Decoder()).sha256
    )


def test_a_damaged_shard_is_written_again(tmp_path: Path) -> None:
    ours, decoder = clips(tmp_path, 3), Decoder()
    build_store(ours, tmp_path / "store", SETTINGS, decode=decoder)
    (data,) = (tmp_path / "store").glob("*.i16")
    data.write_bytes(data.read_bytes()[:-1])
    assert build_store(ours, tmp_path / "store", SETTINGS, decode=decoder).read(2)[-1] == 229
    assert len(decoder.decoded) == 6


def test_broken_and_short_files_are_skipped(tmp_path: Path) -> None:
    store = build_store(
        clips(tmp_path, 5),
        tmp_path / "store",
        StoreSettings(rate=100, shortest_seconds=0.15),
        decode=Decoder("3.wav"),
    )
    assert store.samples.tolist() == [0, 20, 30, 0, 50]
    assert [(Path(s.name).name, s.kind, s.reason) for s in store.skipped] == [
        ("0.wav", "empty", "has only 0.10 s of sound"),
        ("3.wav", "broken", "is not media"),
    ]


def test_a_pickled_store_has_no_memory_maps(tmp_path: Path) -> None:
    store = build_store(clips(tmp_path, 2), tmp_path / "store", SETTINGS, decode=Decoder())
    store.read(0)
    sent = pickle.dumps(store)
    assert len(sent) < 3_000
    assert pickle.loads(sent).read(1).tolist() == store.read(1).tolist()


def test_threads_store_what_one_thread_does(tmp_path: Path) -> None:
    ours = clips(tmp_path, 8)
    one = build_store(ours, tmp_path / "one", SETTINGS, decode=Decoder("2.wav"))
    several = replace(SETTINGS, workers=3)
    other = build_store(ours, tmp_path / "several", several, decode=Decoder("2.wav"))
    assert other.sha256 == one.sha256
    assert other.skipped == one.skipped


@pytest.mark.parametrize("workers", [1, 2])
def test_files_that_crash_the_decoder_are_skipped(tmp_path: Path, workers: int) -> None:
    names = ["good0", "crash1", "good2", "error3"]
    for name in names:
        (tmp_path / f"{name}.wav").write_bytes(b"x")
    ours = [Clip(tmp_path / f"{name}.wav") for name in names]
    factory = "tests.learning.crashing:make_backend"
    settings = StoreSettings(rate=100, shard_clips=2, workers=workers)
    with closing(DecoderPool("crashing", factory=factory, search=[ROOT])) as pool:
        decode = partial(decode_clip, pool)
        store = build_store(ours, tmp_path / "store", settings, decode=decode)
    assert store.samples.tolist() == [100, 0, 100, 0]
    assert {Path(s.name).name: s.kind for s in store.skipped} == {
        "crash1.wav": "broken",
        "error3.wav": "broken",
    }


def test_an_unwritable_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="cannot be written"):
        build_store(clips(tmp_path, 1), tmp_path / "store", SETTINGS, decode=Decoder())


class Backend:
    """A decoder as the socket promises it: one window of what it was given."""

    name = "fake"

    def __init__(self, samples: NDArray[np.float32] | None) -> None:
        self.samples = samples
        self.wants: list[DecodeRequest] = []

    def windows(self, clip: Clip, request: DecodeRequest) -> list[Media]:
        self.wants.append(request)
        return [
            Media(clip, 0, 1, None if self.samples is None else Waveform(self.samples, 100), None)
        ]


def test_only_sound_is_decoded_and_overloads_are_clipped() -> None:
    backend = Backend(np.array([0, 0.5, -1, 1.5], np.float32))
    assert decode_clip(backend, Clip(Path("x")), 100, 60.0).tolist() == [0, 16_384, -32_767, 32_767]  # type: ignore[arg-type]
    assert (backend.wants[0].audio_rate, backend.wants[0].short_side) == (100, None)


def test_a_file_without_sound_is_an_error() -> None:
    with pytest.raises(MediaError, match="no sound"):
        decode_clip(Backend(None), Clip(Path("mute.mp4")), 100, 60.0)  # type: ignore[arg-type]


def test_a_real_file_is_stored_up_to_rounding(tmp_path: Path) -> None:
    sound = sing(("low",), 0)
    write_wav(tmp_path / "a.wav", sound)
    (tmp_path / "b.wav").write_text("no sound at all")
    ours = [
        Clip(tmp_path / "a.wav"),
        Clip(tmp_path / "b.wav"),
        Clip(tmp_path / "a.wav", 0.25, 0.75),
    ]
    store = build_store(ours, tmp_path / "store", StoreSettings(rate=4_000))
    assert np.abs(store.read(0) / 32_767 - sound).max() < 2 / 32_767
    assert abs(len(store.read(2)) - 2_000) <= 1
    assert [Path(s.name).name for s in store.skipped] == ["b.wav"]
