"""Cost of decoding: for ear and eye against decoding alone, and time and memory by length.

    python -m av_tagger.bench.media [--hours 1] [--repeats 5]
    python -m av_tagger.bench.media --file FILE ...

Each memory figure comes from a process of its own.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import av

from av_tagger.bench.clips import BLOCK_SECONDS, make_long
from av_tagger.bench.measure import Work, in_turn, parser, peak_mebibytes, run_main
from av_tagger.clip import Clip
from av_tagger.media import close_decoders, make_backend, open_media
from av_tagger.media.decode_process import DecodeProcess
from av_tagger.protocols import DecodeRequest
from av_tagger.systems import keep_freed_memory

BACKEND = make_backend("pyav")  # one for all files, so that its memory is reused as in a worker
REQUESTS = {
    "both": DecodeRequest(),
    "sound": DecodeRequest(short_side=None),
    "8 fps": DecodeRequest(frame_rate=8.0),
}
SIZES = ((640, 360), (1280, 720), (1920, 1080))
SMALL = (320, 180)  # of the files of different lengths
MINUTE, HOUR = 60, 3600


def read(path: Path, request: DecodeRequest, isolated: bool) -> dict[str, float]:
    """Decode a file once and report windows, seconds and memory; run in a new process."""
    began, windows, peak = time.perf_counter(), 0, 0.0
    process = DecodeProcess()
    opened = process.windows if isolated else make_backend("pyav").windows
    for _ in opened(Clip(path), request):
        windows += 1
    wall = time.perf_counter() - began
    if isolated:
        peak = process.call("av_tagger.bench.measure:peak_mebibytes", path=path)
    process.close()
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    cpu = sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, kinds))
    return {"windows": windows, "wall_s": wall, "cpu_s": cpu, "peak_MiB": peak + peak_mebibytes()}


def child(path: Path, request: str, isolated: bool) -> dict[str, float]:
    """`read` in a new process."""
    command = [sys.executable, "-m", "av_tagger.bench.media", "--child", str(path)]
    command += ["--request", request, *(["--isolated"] if isolated else [])]
    found: dict[str, float] = json.loads(subprocess.check_output(command, text=True))  # noqa: S603 - this module
    return found


def decode_only(path: Path) -> None:
    """Decode sound and pictures on one thread each, and drop them."""
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        video.codec_context.thread_count = 1
        for packet in container.demux([video, audio]):
            packet.decode()


def decode_for_both(path: Path) -> None:
    """What ear and eye get, decoded in this process."""
    for _ in BACKEND.windows(Clip(path), DecodeRequest()):
        pass


def decode_isolated(path: Path) -> None:
    """What ear and eye get, decoded in a process of its own."""
    for _ in open_media(Clip(path), DecodeRequest()):
        pass


def pictures_of(path: Path) -> str:
    """Size and memory of the pictures of the first window."""
    frames = next(iter(BACKEND.windows(Clip(path), DecodeRequest()))).frames
    if frames is None:
        return "no pictures"
    height, width = frames.size
    kind = "RGB" if frames.luma is None else "planes"
    memory = frames.images.nbytes / 1e6
    return f"{len(frames)} pictures of {width} x {height} as {kind}, {memory:.0f} MB"


def ratios(path: Path, repeats: int) -> None:
    """CPU seconds against decoding alone, and wall seconds here against a process of its own."""
    keep_freed_memory()  # as a decoder does, for both sides
    cpu: dict[str, Work] = {
        "only": lambda: decode_only(path),
        "both": lambda: decode_for_both(path),
    }
    wall: dict[str, Work] = {
        "here": lambda: decode_for_both(path),
        "isolated": lambda: decode_isolated(path),
    }
    only, both = map(statistics.median, in_turn(cpu, repeats).values())
    here, isolated = map(statistics.median, in_turn(wall, repeats, time.perf_counter).values())
    close_decoders()
    print(f"  CPU s: decode only {only:.3f}, for ear and eye {both:.3f}: ratio {both / only:.2f}")
    print(
        f"  wall s: in this process {here:.3f}, in a process of its own {isolated:.3f}: "
        f"ratio {isolated / here:.2f}"
    )
    print(f"  first window: {pictures_of(path)}")


def by_size(folder: Path, sizes: Sequence[tuple[int, int]], repeats: int) -> None:
    for width, height in sizes:
        path = folder / f"{height}.mp4"
        make_long(path, BLOCK_SECONDS, (width, height))
        print(f"{BLOCK_SECONDS} s of {height}p h264 + aac, {repeats} runs in turn")
        ratios(path, repeats)


def by_length(folder: Path, lengths: Sequence[int]) -> None:
    for seconds in lengths:
        path = folder / f"{seconds} s.mp4"
        make_long(path, seconds, SMALL)
        name = f"{seconds:6d} s of {SMALL[1]}p"
        for request in REQUESTS:
            print(f"{name}, {request:>6}: {_line(child(path, request, isolated=False))}")
        isolated = _line(child(path, "both", isolated=True))
        print(f"{name}, in a process of its own (memory of both processes): {isolated}")


def _line(found: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.1f}" for name, value in found.items())


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--hours", type=float, default=1.0, help="length of the longest file")
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument(
        "--sizes", type=int, nargs="+", help="only these heights of 360, 720, 1080"
    )
    options.add_argument("--file", type=Path, nargs="*", default=[], help="only these files")
    options.add_argument("--child", type=Path, help="decode this file once and print JSON")
    options.add_argument("--request", default="both", choices=REQUESTS, help="with --child")
    options.add_argument("--isolated", action="store_true", help="with --child")
    chosen = options.parse_args(words)
    if chosen.child:
        print(json.dumps(read(chosen.child, REQUESTS[chosen.request], chosen.isolated)))
        return
    for path in chosen.file:
        print(path.name)
        ratios(path, chosen.repeats)
    if chosen.file:
        return
    longest = max(BLOCK_SECONDS, int(HOUR * chosen.hours))
    lengths = [s for s in (BLOCK_SECONDS, MINUTE) if s < longest] + [longest]
    sizes = [size for size in SIZES if chosen.sizes is None or size[1] in chosen.sizes]
    with tempfile.TemporaryDirectory() as folder:
        by_size(Path(folder), sizes, chosen.repeats)
        by_length(Path(folder), lengths)


if __name__ == "__main__":
    run_main(main)
