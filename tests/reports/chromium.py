"""Chromium, controlled through its remote debugging protocol over two pipes."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.waiting import LIMIT


class Chromium:
    """No port is opened."""

    name = "chromium"

    def __init__(self, program: str, profile: Path) -> None:
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (theirs_in, theirs_out)]
        flags = (
            "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
            "--disable-component-update --disable-sync --disable-extensions --mute-audio "
            "--hide-scrollbars --disable-dev-shm-usage "
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

    def _next(self, limit: float = LIMIT) -> dict[str, Any]:
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

    def wait(self, expression: str, limit: float = LIMIT) -> None:
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

    def type(self, text: str) -> None:
        """At once, as from the clipboard."""
        self.send("Input.insertText", text=text)

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
            self.process.wait(LIMIT)
        os.close(self.answers)
