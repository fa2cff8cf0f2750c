"""Results made by hand, and a real browser."""

from __future__ import annotations

import base64
import fcntl
import io
import json
import math
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from av_tagger.clip import Clip
from av_tagger.labels import dcase2017
from av_tagger.scores import (
    Activity,
    BranchInfo,
    ClassScore,
    Event,
    Evidence,
    Failed,
    KeyFrame,
    Outcome,
    RunInfo,
    Status,
    Tag,
    Tagged,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

LABELS = dcase2017().labels


def picture(colour: tuple[int, int, int], size: tuple[int, int] = (160, 90)) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "JPEG")
    return buffer.getvalue()


def bumps(seconds: float, start: float, centres: dict[str, list[tuple[float, float]]]) -> Activity:
    """Activity with a smooth bump per sound: (centre in seconds, height)."""
    times = start + np.arange(round(seconds * 10)) / 10
    values = np.full((len(times), len(LABELS)), 0.03)
    for label, places in centres.items():
        for centre, height in places:
            values[:, LABELS.index(label)] += height * np.exp(-(((times - centre) / 0.8) ** 2))
    return Activity(values.clip(0, 1).astype(np.float32), 10.0, start)


def street(path: Path = Path("films/street corner.mp4")) -> Tagged:
    """A whole file: a train horn heard twice, and a bus that was seen rather than heard."""
    horn = Tag(
        "Train horn",
        0.81,
        0.35,
        0.9,
        0.42,
        (Event(1.0, 2.5, 0.95), Event(6.0, 7.25, 0.6)),
        (Evidence(3.2, "electric locomotive", 0.42, 0.61),),
    )
    bus = Tag(
        "Bus",
        0.55,
        0.4,
        0.2,
        0.64,
        (),
        (Evidence(3.2, "trolleybus", 0.3, 0.71), Evidence(8.1, "minibus", 0.34, 0.83)),
    )
    scores = {label: ClassScore(0.05, 0.06, 0.0, 0.3) for label in LABELS}
    scores |= {
        "Train horn": ClassScore(0.81, 0.9, 0.42, 0.35),
        "Bus": ClassScore(0.55, 0.2, 0.64, 0.4),
    }
    keyframes = (
        KeyFrame(
            3.2, 0.6, (("electric locomotive", 0.42), ("trolleybus", 0.3)), picture((70, 110, 160))
        ),
        KeyFrame(8.1, 0.4, (("minibus", 0.34), ("street sign", 0.2)), picture((150, 120, 60))),
    )
    return Tagged(
        clip=Clip(path),
        duration_seconds=10.0,
        tags=(horn, bus),
        scores=scores,
        keyframes=keyframes,
        ear=BranchInfo(Status.OK, "crnn", "starter-1"),
        eye=BranchInfo(Status.OK, "inception_v4", "timm"),
        run=RunInfo("0.1.0", "cpu", "0123456789ab", 1.5),
        activity=bumps(10.0, 0.0, {"Train horn": [(1.7, 0.9), (6.6, 0.55)], "Bus": [(8.0, 0.2)]}),
        notes=("3 frames could not be decoded",),
    )


def window() -> Tagged:
    """Ten seconds of a longer file with a hostile name: heard only, two sounds overlap."""
    horn = Tag("Train horn", 0.7, 0.35, 0.7, None, (Event(61.0, 64.0, 0.7),))
    alarm = Tag("Car alarm", 0.5, 0.35, 0.5, None, (Event(63.0, 66.5, 0.5),))
    scores = {label: ClassScore(0.05, 0.05, None, math.inf) for label in LABELS}
    scores |= {
        "Train horn": ClassScore(0.7, 0.7, None, 0.35),
        "Car alarm": ClassScore(0.5, 0.5, None, 0.35),
    }
    return Tagged(
        clip=Clip(Path("-5QrBL6MzLg_60.000_190.000 & <b>.mp4"), 60.0, 70.0),
        duration_seconds=10.0,
        tags=(horn, alarm),
        scores=scores,
        keyframes=(),
        ear=BranchInfo(Status.DEGRADED, "crnn", "starter-1"),
        eye=BranchInfo(Status.NO_WEIGHTS, "inception_v4"),
        run=RunInfo("0.1.0", "cpu", "0123456789ab", 0.5),
        activity=bumps(10.0, 60.0, {"Train horn": [(62.5, 0.7)], "Car alarm": [(64.7, 0.5)]}),
    )


def dcase_clip() -> Tagged:
    """A clip without tags, named like those of DCASE."""
    scores = {label: ClassScore(0.05, 0.05, math.nan, 0.3) for label in LABELS}
    branch = BranchInfo(Status.OK, "crnn", "starter-1")
    clip = Clip(Path("audio/Y-5QrBL6MzLg_60.000_70.000.wav"))
    return Tagged(
        clip,
        10.0,
        (),
        scores,
        (),
        branch,
        BranchInfo(Status.NO_TRACK, "inception_v4"),
        RunInfo("0.1.0", "cpu", "0123456789ab", 0.2),
    )


@pytest.fixture
def sample() -> list[Outcome]:
    broken = Failed(
        Clip(Path('broken, "quoted".mp4')), "media", 'broken, "quoted".mp4: cannot be opened'
    )
    return [street(), window(), dcase_clip(), broken]


@pytest.fixture
def tagged() -> Tagged:
    return street()


class Browser:
    """A real Chromium, controlled through two pipes: no port is opened."""

    def __init__(self, program: str, profile: Path) -> None:
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (theirs_in, theirs_out)]
        flags = (
            "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
            "--disable-component-update --disable-sync --disable-extensions --mute-audio "
            "--hide-scrollbars "
            "--autoplay-policy=no-user-gesture-required --remote-debugging-pipe"
        )

        def lay_pipes() -> None:  # Chromium reads descriptor 3 and writes descriptor 4
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self.process = subprocess.Popen(
            [program, *flags.split(), f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=lay_pipes,  # noqa: PLW1509 - two calls of dup2 are safe beside threads
            pass_fds=(3, 4),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for fd in (theirs_in, theirs_out, *high):
            os.close(fd)
        self.answers, self.commands = ours_in, ours_out
        self.buffer, self.count = b"", 0
        self.events: list[dict[str, Any]] = []
        self.session: str | None = None
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> Any:
        self.count += 1
        message = {"id": self.count, "method": method, "params": params} | (
            {"sessionId": self.session} if self.session else {}
        )
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self.count:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def _next(self, limit: float = 20.0) -> dict[str, Any]:
        until = time.monotonic() + limit
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.answers], [], [], max(0.0, until - time.monotonic()))
            assert ready, "Chromium does not answer"
            piece = os.read(self.answers, 1 << 16)
            assert piece, "Chromium has gone away"
            self.buffer += piece
        line, _, self.buffer = self.buffer.partition(b"\0")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def open(
        self,
        url: str,
        size: tuple[int, int] = (1280, 900),
        *,
        dark: bool = False,
        phone: bool = False,
    ) -> None:
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=size[0],
            height=size[1],
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )
        self.send(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}],
        )
        self.events.clear()
        self.send("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def js(self, expression: str) -> Any:
        result = self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait(self, expression: str, limit: float = 10.0) -> None:
        until = time.monotonic() + limit
        while not self.js(expression):
            assert time.monotonic() < until, f"never came true: {expression}"
            time.sleep(0.02)

    def click(self, x: float, y: float) -> None:
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str, code: int, text: str = "") -> None:
        down = {"text": text} if text else {}
        self.send(
            "Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **down
        )
        self.send("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def complaints(self) -> list[str]:
        """Console messages since the page was opened: errors, blocked content, exceptions."""
        self.js("new Promise(done => setTimeout(done, 50))")
        kinds = {"Log.entryAdded": "entry", "Runtime.exceptionThrown": "exceptionDetails"}
        said = [
            json.dumps(e["params"][kinds[e["method"]]])
            for e in self.events
            if e.get("method") in kinds
        ]
        return said + [
            json.dumps(e["params"])
            for e in self.events
            if e.get("method") == "Runtime.consoleAPICalled"
        ]

    def requests(self) -> list[str]:
        return [
            e["params"]["request"]["url"]
            for e in self.events
            if e.get("method") == "Network.requestWillBeSent"
        ]

    def screenshot(self, path: Path, *, full: bool = True) -> bytes:
        picture = base64.b64decode(
            self.send("Page.captureScreenshot", captureBeyondViewport=full)["data"]
        )
        path.write_bytes(picture)
        return picture

    def close(self) -> None:
        os.close(self.commands)  # Chromium ends when the pipe is closed
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(5)
        os.close(self.answers)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = next(
        (
            p
            for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))
            if p
        ),
        None,
    )
    if program is None or sys.platform == "win32":
        pytest.skip("Chromium is not installed")
    one = Browser(program, tmp_path_factory.mktemp("profile"))
    yield one
    one.close()
