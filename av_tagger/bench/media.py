"""Decoding measured: seconds and peak memory by length, and decoding for both witnesses against decoding alone.

`python -m av_tagger.bench.media [--hours 1] [--repeats 5]`; every memory figure comes from a process of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from av_tagger.clip import Clip
from av_tagger.media import GuardedWorker, close_workers, make_backend, open_media
from av_tagger.media.worker import keep_freed_memory
from av_tagger.protocols import DecodeRequest

RATE = 44_100
BLOCK_SECONDS = 10
FPS = 24
BACKEND = make_backend("pyav")  # one for all files, as a worker has it: its memory is used again
WANTS = {
    "both": DecodeRequest(),
    "sound": DecodeRequest(short_side=None),
    "8 fps": DecodeRequest(frame_rate=8.0),
}


def make_long(path: Path, seconds: int, size: tuple[int, int]) -> None:
    """Ten coded seconds, repeated as packets: an hour is made as fast as it can be written."""
    with av.open(str(path), "w") as out:
        video: Any = out.add_stream(
            "libx264", rate=FPS, options={"preset": "veryfast", "crf": "23"}
        )
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        video.codec_context.max_b_frames = 0
        audio: Any = out.add_stream("aac", rate=RATE, layout="stereo")
        block = _coded(video, audio, size)
        for repeat in range(seconds // BLOCK_SECONDS):
            for stream, base, pts, duration, key, data in block:
                packet = av.Packet(data)
                packet.stream, packet.time_base, packet.duration, packet.is_keyframe = (
                    stream,
                    base,
                    duration,
                    key,
                )
                packet.pts = packet.dts = pts + round(repeat * BLOCK_SECONDS / base)
                out.mux(packet)


def _coded(
    video: Any, audio: Any, size: tuple[int, int]
) -> list[tuple[Any, Fraction, int, int, bool, bytes]]:
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 255, (size[1] + 64, size[0] + 64, 3), np.uint8)
    smooth = np.mean(
        [noise[k:, k:][: size[1] + 32, : size[0] + 32] for k in range(16)], axis=0
    ).astype(np.uint8)
    packets: list[Any] = []
    for n in range(BLOCK_SECONDS * FPS):
        view = smooth[n % 32 : n % 32 + size[1], (n // 2) % 32 : (n // 2) % 32 + size[0]]
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(view), format="rgb24").reformat(
            format="yuv420p"
        )
        frame.pts, frame.time_base = n, Fraction(1, FPS)
        packets += video.encode(frame)
    sound = generator.normal(0, 0.1, (2, RATE * BLOCK_SECONDS // 1024 * 1024)).astype(np.float32)
    for at in range(0, sound.shape[1], 1024):
        piece = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(sound[:, at : at + 1024]), "fltp", "stereo"
        )
        piece.sample_rate, piece.pts, piece.time_base = RATE, at, Fraction(1, RATE)
        packets += audio.encode(piece)
    packets += [*video.encode(None), *audio.encode(None)]
    rows = [
        (p.stream, p.time_base, p.pts, p.duration or 0, p.is_keyframe, bytes(p))
        for p in packets
        if p.pts is not None and p.pts >= 0
    ]
    return sorted(rows, key=lambda row: row[2] * row[1])


def read(path: Path, request: DecodeRequest, guarded: bool) -> dict[str, float]:
    """One way through a file, in this process: what a child reports."""
    begin, windows, peak = time.perf_counter(), 0, 0.0
    worker = GuardedWorker()
    for _ in (
        worker.windows(Clip(path), request)
        if guarded
        else make_backend("pyav").windows(Clip(path), request)
    ):
        windows += 1
    wall = time.perf_counter() - begin
    if guarded:
        peak = worker.call("av_tagger.bench.media:peak_mebibytes", path=path)
    worker.close()
    own, workers = (
        resource.getrusage(resource.RUSAGE_SELF),
        resource.getrusage(resource.RUSAGE_CHILDREN),
    )
    cpu = sum(u.ru_utime + u.ru_stime for u in (own, workers))
    return {"windows": windows, "wall_s": wall, "cpu_s": cpu, "peak_MiB": peak + peak_mebibytes()}


def peak_mebibytes() -> float:
    """Of this process alone: ru_maxrss would count what its parent held when it was started."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # bytes on macOS
    line = next(row for row in status.read_text().splitlines() if row.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def child(path: Path, request: str, guarded: bool) -> dict[str, float]:
    command = [
        sys.executable,
        "-m",
        "av_tagger.bench.media",
        "--child",
        str(path),
        "--want",
        request,
        *(["--guarded"] if guarded else []),
    ]
    found: dict[str, float] = json.loads(subprocess.check_output(command, text=True))  # noqa: S603 - this very file
    return found


def decode_only(path: Path) -> None:
    """Sound and pictures decoded on as many threads as below, and dropped: what no program that looks at them can do without."""
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        video.codec_context.thread_count = 1
        for packet in container.demux([video, audio]):
            packet.decode()


def decode_for_both(path: Path) -> None:
    for _ in BACKEND.windows(Clip(path), DecodeRequest()):
        pass


def pictures_of(path: Path) -> str:
    """Size and memory of what the eye gets of the first window."""
    frames = next(iter(BACKEND.windows(Clip(path), DecodeRequest()))).frames
    if frames is None:
        return "no pictures"
    height, width = frames.size
    kind = "RGB" if frames.luma is None else "planes"
    return f"{len(frames)} pictures of {width} x {height} as {kind}, {frames.images.nbytes / 1e6:.0f} MB"


def decode_guarded(path: Path) -> None:
    for _ in open_media(Clip(path), DecodeRequest()):
        pass


def seconds_of(work: Callable[[Path], None], path: Path, clock: Callable[[], float]) -> float:
    begin = clock()
    work(path)
    return clock() - begin


def ratios(path: Path, repeats: int) -> None:
    """A B A B, medians: CPU seconds in one process, and wall seconds with the worker process."""
    keep_freed_memory()  # as a worker does, for both sides of the comparison
    cpu: dict[str, list[float]] = {"only": [], "both": []}
    wall: dict[str, list[float]] = {"here": [], "guarded": []}
    decode_guarded(path)  # the worker starts once for all files
    decode_for_both(path)
    for _ in range(repeats):
        cpu["only"].append(seconds_of(decode_only, path, time.process_time))
        cpu["both"].append(seconds_of(decode_for_both, path, time.process_time))
        wall["here"].append(seconds_of(decode_for_both, path, time.perf_counter))
        wall["guarded"].append(seconds_of(decode_guarded, path, time.perf_counter))
    close_workers()
    only, both = statistics.median(cpu["only"]), statistics.median(cpu["both"])
    here, guarded = statistics.median(wall["here"]), statistics.median(wall["guarded"])
    print(f"  CPU s: decode only {only:.3f}, for ear and eye {both:.3f}: ratio {both / only:.2f}")
    print(
        f"  wall s: in this process {here:.3f}, in the guarded worker {guarded:.3f}: ratio {guarded / here:.2f}"
    )
    print(f"  first window: {pictures_of(path)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--child", type=Path)
    parser.add_argument(
        "--file", type=Path, nargs="*", default=[], help="measure the ratios on these files only"
    )
    parser.add_argument("--want", default="both", choices=WANTS)
    parser.add_argument("--guarded", action="store_true")
    chosen = parser.parse_args()
    if chosen.child:
        print(json.dumps(read(chosen.child, WANTS[chosen.request], chosen.guarded)))
        return
    for path in chosen.file:
        print(path.name)
        ratios(path, chosen.repeats)
    if chosen.file:
        return
    with tempfile.TemporaryDirectory() as folder:
        for width, height in ((640, 360), (1280, 720), (1920, 1080)):
            path = Path(folder) / f"{height}.mp4"
            make_long(path, BLOCK_SECONDS, (width, height))
            print(f"10 s of {height}p h264 + aac, {chosen.repeats} runs side by side")
            ratios(path, chosen.repeats)
        for name, seconds in (
            ("10 s", 10),
            ("minute", 60),
            ("hour", max(BLOCK_SECONDS, int(3600 * chosen.hours))),
        ):
            path = Path(folder) / f"{seconds}.mp4"
            make_long(path, seconds, (320, 180))
            for request in WANTS:
                print(
                    f"{name:>7} of 180p, {request:>6}: "
                    + ", ".join(f"{k} {v:.1f}" for k, v in child(path, request, False).items())
                )
            guarded = child(path, "both", True)
            print(
                f"{name:>7} of 180p, guarded (both processes added): "
                + ", ".join(f"{k} {v:.1f}" for k, v in guarded.items())
            )


if __name__ == "__main__":
    main()
