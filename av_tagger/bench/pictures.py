"""Draw the pictures of the documentation: fusion figures, pages, an annotated frame.

    python -m av_tagger.bench.pictures notebooks/pictures [VIDEO]

The fusion figures come from simulated scores; pages and frame from VIDEO or the video of
`av-tag demo`, the search from made street scenes. Pages need a Chromium; without one find.png,
page.png and review.png are left as they are.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from av_tagger.bench.demo_run import find_in, write_films, write_run
from av_tagger.bench.measure import parser, run_main
from av_tagger.collection.page import hits_page
from av_tagger.collection.sources import sources_of
from av_tagger.fusion import load_fusion
from av_tagger.fusion.fit import FitSettings, FusionFitter
from av_tagger.labels import dcase2017
from av_tagger.reports import plots
from av_tagger.reports.explore import FusionExplorer
from av_tagger.reports.files import write_text
from av_tagger.reports.html import write_page
from av_tagger.reports.schema import as_line
from av_tagger.reports.simulated import simulated_scores
from av_tagger.reports.spectrogram import draw_clip
from av_tagger.review.answers import AnswerLog
from av_tagger.review.media_files import MediaFiles
from av_tagger.review.pictures import PictureReader
from av_tagger.review.routes import ReviewRoutes
from av_tagger.review.server import ReviewServer
from av_tagger.review.session import ReviewSession
from av_tagger.review.training import HeadTraining
from av_tagger.review.units import read_units

if TYPE_CHECKING:
    from av_tagger.scores import Tagged

SEED = 106  # of av-tag demo
SIZE = (1280, 1010)  # of the browser window
PICTURES = ("annotated", "class_f1", "find", "page", "review", "weights")
QUERY = "any siren AND NOT bus"
STREETS = (6, 7, 12, 13, 15)  # seeds of demo scenes: three match the query, two have a bus
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--autoplay-policy=no-user-gesture-required",
    "--no-first-run",
    "--virtual-time-budget=4000",
]


def draw_all(folder: Path, video: Path | None = None) -> None:
    """Draw all pictures and reduce their colours."""
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    draw_fusion(folder)
    video = video.absolute() if video else None
    with tempfile.TemporaryDirectory() as scratch, contextlib.chdir(scratch):
        tagged = tag(video or make_demo(Path("films") / "demo.mp4"))
        draw_page(tagged, folder, Path(scratch))
        draw_review(tagged, folder, Path(scratch))
        draw_find(folder, Path(scratch))
        draw_frame(tagged, folder / "annotated.png")
    for picture in (
        folder / f"{name}.png" for name in PICTURES if (folder / f"{name}.png").exists()
    ):
        make_small(picture)
        print(f"{picture}  {picture.stat().st_size / 1000:.0f} KB")


def draw_fusion(folder: Path) -> None:
    """F1 per class of ear, eye and both on simulated scores; the weights of paper and fit."""
    labels = dcase2017().labels
    paper: np.ndarray = load_fusion("paper", labels).weights  # type: ignore[attr-defined]
    examples = simulated_scores(
        labels, [label for label, a in zip(labels, paper, strict=True) if a < 0.5], seed=3
    )
    development, test = FusionExplorer(examples.half(0)), FusionExplorer(examples.half(1))
    half = examples.half(0)
    fusion = (
        FusionFitter(FitSettings("joint")).fit(half.heard, half.seen, half.truth, labels).fusion_
    )
    fitted: np.ndarray = fusion.weights  # type: ignore[attr-defined]
    weights = {"heard": np.ones(len(labels)), "seen": np.zeros(len(labels)), "fused": fitted}
    counts = {name: test.score(a, development.tuned(a).thresholds) for name, a in weights.items()}
    figure = plots.class_f1(
        {name: c.class_f1 for name, c in counts.items()},
        labels,
        {name: c.f1 for name, c in counts.items()},
    )
    plots.save(figure, folder / "class_f1.png", 80)
    plots.save(
        plots.weight_map({"paper": paper, "fitted": fitted}, labels), folder / "weights.png", 80
    )


def make_demo(path: Path) -> Path:
    """Write the video that `av-tag demo` makes."""
    from av_tagger.media.write import write_video
    from av_tagger.synth.clock import clock_demo

    path.parent.mkdir(exist_ok=True)
    scene, frames, fps = clock_demo(SEED)
    return write_video(path, frames, fps, scene.samples, scene.rate)


def tag(video: Path) -> Tagged:
    import av_tagger

    tagged: Tagged = av_tagger.load(device="cpu", offline=True, say=print).tag(video)
    return tagged


def draw_page(tagged: Tagged, folder: Path, scratch: Path) -> None:
    """A screenshot of the result page, where there is a browser."""
    page = scratch / "page.html"
    write_page(tagged, page)
    shoot(page.as_uri(), folder / "page.png", scratch)


def draw_review(tagged: Tagged, folder: Path, scratch: Path) -> None:
    """A screenshot of a review, served on this machine."""
    run = scratch / "run"
    run.mkdir()
    line = as_line(tagged, detail=True, spectrogram=draw_clip(tagged.clip))
    (run / "results.jsonl").write_text(line + "\n", encoding="ascii")
    with served(run) as address:
        shoot(address, folder / "review.png", scratch)


def draw_find(folder: Path, scratch: Path) -> None:
    """A screenshot of what `av-tag find --html` writes; its players show the fourth second."""
    run, page = scratch / "streets", scratch / "find.html"
    if browser() is not None:
        write_films(write_run(run, STREETS), STREETS)
        html: str = hits_page(QUERY, (), find_in(run, QUERY), page)
        html = html.replace('preload="none"', 'preload="auto"').replace('.mp4"', '.mp4#t=4"')
        write_text(page, [html])
    shoot(page.as_uri(), folder / "find.png", scratch)


@contextlib.contextmanager
def served(run: Path) -> Iterator[str]:
    """The address of a review that ends with the block."""
    session = ReviewSession(
        read_units(sources_of([str(run)])),
        AnswerLog.open(run / "review"),
        MediaFiles([run]),
        PictureReader([run / "results.jsonl"]),
    )
    server = ReviewServer(ReviewRoutes(session, HeadTraining(run)).table())
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server.address
    finally:
        server.stop()
        thread.join()
        session.log.close()


def browser() -> str | None:
    """The path of a Chromium, if this machine has one."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def shoot(address: str, target: Path, scratch: Path, size: tuple[int, int] = SIZE) -> None:
    """A picture of a page; nothing where there is no browser."""
    program = browser()
    if program is None:
        print(f"{target.name} is left as it is: there is no Chromium on this machine")
        return
    places = [f"--user-data-dir={scratch / 'profile'}", f"--screenshot={target.absolute()}"]
    command = [program, *FLAGS, f"--window-size={size[0]},{size[1]}", *places, address]
    subprocess.run(command, check=True, capture_output=True, timeout=120)  # noqa: S603 - our own page


def draw_frame(tagged: Tagged, target: Path) -> None:
    """The frame in the middle of the first event, with the result drawn into it."""
    from PIL import Image

    from av_tagger.media import open_media
    from av_tagger.protocols import DecodeRequest
    from av_tagger.reports.annotate import draw

    events = [event for t in tagged.tags for event in t.events]
    middle = (events[0].start + events[0].end) / 2 if events else tagged.duration_seconds / 2
    for window in open_media(tagged.clip, DecodeRequest(audio_rate=None, short_side=360)):
        if window.frames is not None and window.start_seconds <= middle <= window.end_seconds:
            nearest = int(np.abs(window.frames.times - middle).argmin())
            Image.fromarray(
                draw(
                    window.frames.rgb(np.array([nearest]))[0],
                    float(window.frames.times[nearest]),
                    tagged,
                )
            ).save(target)
            return


def make_small(path: Path) -> None:
    """Reduce the picture to 200 colours."""
    from PIL import Image

    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(200, dither=Image.Dither.NONE)
    small.save(path, optimize=True)


def main(words: Sequence[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("folder", type=Path, help="for the pictures")
    options.add_argument("video", type=Path, nargs="?", help="default: the demo scene")
    chosen = options.parse_args(words)
    draw_all(chosen.folder, chosen.video)


if __name__ == "__main__":
    run_main(main)
