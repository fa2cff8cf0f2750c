"""The pipeline on a GPU against the CPU: made clips, random weights, a real journal.

Run with AV_TAGGER_GPU=1 on a machine with a GPU, so that nothing is skipped.
"""

from __future__ import annotations

import importlib.util
import json
import mmap
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from av_tagger.bench.clips import make_clip
from av_tagger.bench.pipeline import make_tagger
from av_tagger.bench.pipeline_settings import PipelineSettings
from av_tagger.clip import Clip, ColourMatrix, Frames
from av_tagger.media import DecoderPool
from av_tagger.networks import page_lock, upload
from av_tagger.protocols import DecodeRequest
from av_tagger.runner.concurrency import Concurrency
from av_tagger.runner.engines import LIBRARY, EngineDecoder, NvdecEngine
from av_tagger.runner.job import Item
from av_tagger.runner.local import InProcessEngine
from av_tagger.runner.run import RunRequest, run
from av_tagger.runner.worker import worker_of
from av_tagger.video.alexnet import ARCHITECTURES
from av_tagger.video.distances import distances
from av_tagger.video.features import CPU_BATCH, GPU_BATCH, Compute, NetworkFeatures
from av_tagger.video.folded import Folded
from av_tagger.video.keyframes import selector
from av_tagger.video.pixels import prepare
from av_tagger.video.recognise import NetworkRecogniser, build_classifier
from tests.assets import as_planes, in_rgb, smooth_pictures

pytestmark = pytest.mark.gpu
CPU, GPU = torch.device("cpu"), torch.device("cuda")


def films() -> list[Frames]:
    return [
        as_planes(smooth_pictures(9, 360, 640), ColourMatrix()),
        in_rgb(as_planes(smooth_pictures(5, 270, 480), ColourMatrix())),
    ]


def describer(device: torch.device, kind: torch.dtype = torch.float32) -> NetworkFeatures:
    torch.manual_seed(0)
    geometry = ARCHITECTURES["alexnet"].geometry
    network = Folded(ARCHITECTURES["alexnet"].build()[:12], geometry)
    return NetworkFeatures(
        "alexnet",
        network,
        geometry,
        Compute(CPU_BATCH if device == CPU else GPU_BATCH, device, kind),
    )


def test_an_upload_is_complete_and_uses_page_locked_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = torch.arange(1_000_000, dtype=torch.int32)[::3]
    asked: list[bool] = []
    real = torch.empty

    def empty(*shape: Any, **given: Any) -> torch.Tensor:
        asked.append(bool(given.get("pin_memory")))
        return real(*shape, **given)

    monkeypatch.setattr(torch, "empty", empty)
    copies = [
        upload(values + i, GPU) for i in range(20)
    ]  # the memory of one is used again for a later one, never too early
    assert asked == [True] * 20
    for i, copy in enumerate(copies):
        assert torch.equal(copy.cpu(), values + i)


@pytest.mark.parametrize("number", [0, 1])
def test_pixels_are_those_of_the_cpu(number: int) -> None:
    film = films()[number]
    rows = np.arange(len(film))
    here, there = (
        prepare(film, rows, ARCHITECTURES["alexnet"].geometry, device).values.cpu().int()
        for device in (CPU, GPU)
    )
    assert (here - there).abs().max() <= 1


def test_distances_are_those_of_the_cpu() -> None:
    here = distances(describer(CPU).describe(films()))
    for kind in (torch.float32, torch.bfloat16):
        there = distances(describer(GPU, kind).describe(films()))
        for ours, oracle in zip(there, here, strict=True):
            assert (ours.cpu() - oracle).abs().max() < 0.01 * oracle.mean()


def test_synchronisations_do_not_grow_with_the_batch() -> None:
    """Counted by torch: four times as many clips, at most two more."""
    describe = describer(GPU)

    def waits(clips: list[Frames]) -> int:
        import warnings

        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                distances(describe.describe(clips))
            finally:
                torch.cuda.set_sync_debug_mode("default")
        return sum("synchroniz" in str(w.message) for w in said)

    waits(films())
    assert waits(films() * 4) <= waits(films()) + 2


def test_a_run_on_the_gpu_gives_the_results_of_the_cpu(tmp_path: Path) -> None:
    clips = [
        make_clip(tmp_path / f"{i}.mp4", "h264", size, 2.0)
        for i, size in enumerate([(640, 360), (320, 240), (640, 360)])
    ]
    tables = [scores_of(tmp_path / name, name, clips) for name in ("cpu", "cuda")]
    for ours, oracle in zip(tables[1], tables[0], strict=True):
        here, there = ({frame["time"] for frame in found["keyframes"]} for found in (oracle, ours))
        assert len(here & there) >= 3, (
            "near ties may fall either way: two roundings, one of them of another order"
        )
        for label, score in oracle["scores"].items():
            assert ours["scores"][label]["fused"] == pytest.approx(score["fused"], abs=0.02)


def scores_of(folder: Path, device: str, clips: list[Path]) -> list[dict[str, Any]]:
    torch.manual_seed(0)
    made = make_tagger(replace(PipelineSettings(), device=device))
    order = RunRequest(folder, (Item(Clip(path)) for path in clips), device)
    summary = run(order, InProcessEngine(worker_of(made, "pyav"), Concurrency()))
    assert summary.counts.done == len(clips)
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]


def test_page_locked_memory_is_read_where_it_is() -> None:
    """As decoded windows lie in memory that is shared with a decoding process."""
    with mmap.mmap(-1, 1 << 20) as memory:
        array = np.frombuffer(memory, np.uint8)
        array[:] = np.arange(len(array)) % 251
        undo = page_lock(int(array.__array_interface__["data"][0]), len(array))
        assert undo is not None
        values = torch.from_numpy(array)
        assert values.is_pinned()
        copy = upload(values[1000:900_000], GPU)
        torch.cuda.synchronize()
        assert torch.equal(copy.cpu(), values[1000:900_000])
        undo()
        assert not values.is_pinned()
        del array, values


def test_recognition_is_that_of_the_cpu() -> None:
    """Colours, resize and crop on the card, from planes and from pictures."""
    torch.manual_seed(0)
    classifier = build_classifier("mobilenetv2_100")
    here, there = (
        NetworkRecogniser("mobilenetv2_100", classifier, Compute(8, device))
        for device in (CPU, GPU)
    )
    assert there.reads_frames
    rows = [np.array([0, 3, 4]), np.array([1, 2])]
    found = there.recognise_frames(films(), rows)
    assert np.abs(found - here.recognise_frames(films(), rows)).max() < 0.02


def test_key_frames_are_those_of_the_cpu() -> None:
    """Scenes that are far apart: no near ties."""
    random = torch.Generator().manual_seed(0)
    scenes = [40 * torch.randn(1, 64, generator=random) for _ in range(4)]
    clips = [
        torch.cat([s + torch.randn(n + 5 * i, 64, generator=random) for i, s in enumerate(scenes)])
        for n in (20, 30, 20)
    ]
    chosen = selector("sparse")
    here, there = chosen.select(clips, 4), chosen.select([c.to(GPU) for c in clips], 4)
    for ours, oracle in zip(there, here, strict=True):
        assert ours.objective == pytest.approx(oracle.objective, rel=1e-3)
        assert ours.gap < 1e-4


def test_engines_of_the_card_decode_as_the_cores(tmp_path: Path) -> None:
    if importlib.util.find_spec(LIBRARY) is None:
        pytest.skip(f"{LIBRARY} is not installed: pip install {LIBRARY}")
    engine = NvdecEngine("cuda")
    for codec, size in (("h264", (640, 360)), ("h264", (1280, 720)), ("hevc", (1280, 720))):
        path = make_clip(tmp_path / f"{codec}.{size[1]}.mp4", codec, size, 3.0)
        decoder = EngineDecoder(engine, DecoderPool(isolated=False).decoder())
        ours = list(decoder.windows(Clip(path), DecodeRequest(), 60))
        assert (decoder.opened, decoder.left_to_cores) == (1, 0)
        (expected,) = DecoderPool(isolated=False).windows(Clip(path), DecodeRequest())
        assert len(ours) == 1
        assert ours[0].frames is not None
        assert expected.frames is not None
        np.testing.assert_array_equal(ours[0].frames.times, expected.frames.times)
        rows = np.arange(0, 72, 10)
        off = np.abs(ours[0].frames.rgb(rows).astype(int) - expected.frames.rgb(rows))
        assert off.max() <= 3
