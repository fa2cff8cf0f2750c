"""The benchmark of the driving process: its stand-ins, its figures, and the command."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from av_tagger.bench import driver
from av_tagger.bench.driver import Passes, free_tagger, linked, steps_of, summarise
from av_tagger.bench.free_networks import LOUD, FreeEar, FreeFeatures, free_eye
from av_tagger.bench.pipeline_report import PassCost
from av_tagger.bench.pipeline_settings import PipelineSettings
from av_tagger.bench.random_networks import random_ear
from av_tagger.cli.main import main
from av_tagger.clip import Clip, Frames, Waveform
from av_tagger.media import DecoderPool
from av_tagger.protocols import Representatives
from av_tagger.runner.concurrency import Concurrency, for_machine
from av_tagger.runner.job import Item
from av_tagger.runner.local import InProcessEngine
from av_tagger.runner.profile import Profile
from av_tagger.runner.profiler import Stage
from av_tagger.runner.run import RunRequest, run
from av_tagger.runner.worker import Worker
from av_tagger.systems import KILL
from av_tagger.tagger import Tagger
from av_tagger.video.branch import SparseEye
from tests.assets import make_audio, make_video

NETWORK = "mobilenetv3_small_050"


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """The benchmark sets the number of threads of torch for this process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def film(frames: int) -> Frames:
    images = np.random.default_rng(frames).integers(0, 255, (frames, 48, 64, 3), dtype=np.uint8)
    return Frames(images, np.arange(frames) / 8)


def test_free_features_have_one_row_per_frame_and_do_not_depend_on_the_batch() -> None:
    clips = [film(40), film(12)]
    together = FreeFeatures().describe(clips)
    assert [len(features) for features in together] == [40, 12]
    alone = FreeFeatures().describe(clips[1:])[0]
    assert np.array_equal(together[1], alone)


def test_free_features_need_all_four_key_frames() -> None:
    """One in each scene of the stored film."""
    (seen,) = free_eye(NETWORK).see([film(80)])
    assert len(seen.keyframes) == 4
    assert [int(frame.seconds // 2.5) for frame in seen.keyframes] == [0, 1, 2, 3]
    assert all(frame.objects for frame in seen.keyframes)


def test_the_free_ear_answers_in_the_shape_of_a_real_one() -> None:
    waves = [Waveform(np.zeros(n, np.float32), 20_000) for n in (200_000, 31_234)]
    for free, real in zip(FreeEar().hear(waves), random_ear().hear(waves), strict=True):
        assert free.labels == real.labels
        assert free.activity is not None
        assert real.activity is not None
        assert free.activity.values.shape == real.activity.values.shape
        assert free.activity.rate == real.activity.rate
        loud = free.probabilities > 0.5
        assert np.flatnonzero(loud).tolist() == sorted(LOUD)


def test_figures_are_medians_per_clip() -> None:
    """Ten clips; the driver took 20, 30 and 70 ms of CPU time in all."""
    found = Passes(
        decode=[PassCost(1.0, 2.0), PassCost(1.2, 2.2), PassCost(9.0, 2.1)],
        runner=[PassCost(1.5, 2.4), PassCost(1.5, 2.4), PassCost(1.0, 2.0)],
        driver=[0.02, 0.07, 0.03],
        steps=[{"record": 0.01, "other": 0.01}, {"record": 0.02}, {"record": 0.03}],
    )
    figures = summarise(found, 10)
    assert figures["runner_over_decode"] == 0.8
    assert figures["runner_over_decode_cpu"] == 0.875
    assert figures["driver_ms_per_clip"] == 3.0
    assert figures["driver_ms_by_step"] == {"record": 2.0, "other": 0.0}


def test_steps_add_up_to_the_time_of_the_driver() -> None:
    """Parts of the eye are not counted twice; decoding is the time of other processes."""
    stages = {
        "decode": Stage(9.0, 1, {"a"}, 9.0),
        "transport": Stage(0.1, 1, {"a"}, 0.1),
        "see": Stage(1.0, 1, {"a"}, 0.5),
        "features": Stage(0.5, 1, {"a"}, 0.2),
        "words": Stage(0.5, 1, {"a"}, 0.1),
    }
    steps = steps_of(Profile(1.0, stages, (), 0.0, 0.0, 0.0), 1.0)
    assert steps == pytest.approx(
        {"transport": 0.1, "see": 0.2, "features": 0.2, "words": 0.1, "other": 0.4}
    )


@pytest.mark.parametrize("detail", [False, True])
def test_batches_of_one_and_of_many_clips_give_equal_tables(tmp_path: Path, detail: bool) -> None:
    """The whole run as on a card, of clips that differ in length, size and tracks."""
    made = [
        make_video(tmp_path / "a.mp4", seconds=1.5),
        make_video(tmp_path / "b.mp4", seconds=2.5, fps=12, size=(128, 96), start=0.4),
        make_video(tmp_path / "silent.mp4", seconds=1.0, audio=None),
        make_audio(tmp_path / "c.wav", seconds=2.0),
    ]
    (tmp_path / "broken.mp4").write_bytes(b"no media" * 100)
    clips = [*linked(tmp_path, made, 5), tmp_path / "broken.mp4"]
    tagger = free_tagger(PipelineSettings(recogniser=NETWORK))
    pool, batches, tables = DecoderPool(keep=4), list[int](), list[bytes]()
    for batch in (1, 0):
        chosen = Concurrency(batch=batch, detail=detail, decoders=2, gather_seconds=60.0)
        concurrency = for_machine(chosen, "cuda")
        order = RunRequest(tmp_path / f"run{batch}", map(Item, map(Clip, clips)), "bench")
        summary = run(order, InProcessEngine(Worker(tagger, pool.decoder), concurrency))
        assert (summary.counts.done, summary.counts.failed) == (20, 1)
        batches.append(summary.profile.stages["hear"].times)
        tables.append((order.folder / "results.jsonl").read_bytes())
    pool.close()
    assert batches[0] >= 5, "at most four short clips cost as much as a usual one"
    assert batches[1] <= 3, "all at once, but for what a second thread took"
    assert tables[0] == tables[1]


def test_pictures_do_not_depend_on_who_makes_them(tmp_path: Path) -> None:
    """Decoding processes, this process, or this one because those were killed: equal tables.

    One batch: the processes are killed after decoding and before their pictures are asked for.
    """
    made = [
        make_video(tmp_path / "a.mp4", seconds=1.5),
        make_video(tmp_path / "b.mp4", seconds=1.0, fps=12, size=(128, 96)),
    ]
    clips, tables, killed = linked(tmp_path, made, 2), list[bytes](), list[int]()
    for name in ("processes", "here", "killed"):
        pool = DecoderPool(keep=4, isolated=name != "here")
        tagger = free_tagger(PipelineSettings(recogniser=NETWORK))
        if name == "killed":
            kill_before(tagger, pool, killed)
        chosen = Concurrency(1, 1, 1, 8, detail=True, gather_seconds=60.0)
        order = RunRequest(tmp_path / name, map(Item, map(Clip, clips)), "bench")
        engine = InProcessEngine(Worker(tagger, pool.decoder), for_machine(chosen, "cuda"))
        assert run(order, engine).counts.done == 4
        pool.close()
        tables.append((order.folder / "results.jsonl").read_bytes())
    assert len(killed) == 1
    assert tables[0].count(b"data:image/jpeg;base64,") == 16
    assert tables[0] == tables[1] == tables[2]


def kill_before(tagger: Tagger, pool: DecoderPool, killed: list[int]) -> None:
    """The key frames of the first batch are looked for when its decoders are gone."""
    eye = tagger.parts.eye
    assert isinstance(eye, SparseEye)
    select = eye.parts.selector.select

    def killing(features: Sequence[torch.Tensor], count: int) -> list[Representatives]:
        for pid in pool.pids():
            os.kill(pid, KILL)
            killed.append(pid)
        return select(features, count)

    eye.parts.selector.select = killing  # type: ignore[method-assign]


def test_links_are_as_many_files(tmp_path: Path) -> None:
    clips = [tmp_path / "0.mp4", tmp_path / "1.mp4"]
    for clip in clips:
        clip.write_text(clip.name)
    made = linked(tmp_path, clips, 3)
    assert len(set(made)) == 6
    assert sorted(path.read_text() for path in made) == ["0.mp4"] * 3 + ["1.mp4"] * 3


def test_the_command_ends_with_one_object(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "REPEAT", 2)
    words = ["--clips=1", "--rounds=1", "--seconds=1", "--kinds=mpeg4:96x64", "--json"]
    with pytest.raises(SystemExit) as ended:
        main(["bench", "--free-networks", *words, f"--recogniser={NETWORK}"])
    assert not ended.value.code
    lines = capsys.readouterr().out.splitlines()
    figures = json.loads(lines[-1])
    assert figures["runner_over_decode"] > 0
    assert figures["driver_ms_per_clip"] > 0
    assert {"transport", "hear", "record", "key frames"} <= set(figures["driver_ms_by_step"])
    assert figures["clips"] == 2
    assert any("runner against decode only" in line for line in lines)


def test_without_the_eye_its_steps_are_missing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = PipelineSettings(
        clips=1, rounds=1, seconds=1.0, kinds="mpeg4:96x64", only="ear", json=True
    )
    driver.bench_free(settings, 2)
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert "key frames" not in figures["driver_ms_by_step"]
    assert "hear" in figures["driver_ms_by_step"]
