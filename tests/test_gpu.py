"""The pipeline on a GPU against the CPU: made clips, random weights, a real journal.

Run with AV_TAGGER_GPU=1 on a machine with a GPU, so that nothing is skipped.
"""

from __future__ import annotations

import json
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
from av_tagger.networks import upload
from av_tagger.runner.concurrency import Concurrency
from av_tagger.runner.job import Item
from av_tagger.runner.local import InProcessEngine
from av_tagger.runner.run import RunRequest, run
from av_tagger.runner.worker import worker_of
from av_tagger.video.alexnet import ARCHITECTURES
from av_tagger.video.distances import distances
from av_tagger.video.features import CPU_BATCH, GPU_BATCH, Compute, NetworkFeatures
from av_tagger.video.folded import Folded
from av_tagger.video.pixels import prepare
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
