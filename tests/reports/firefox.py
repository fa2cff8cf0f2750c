"""Firefox, controlled through WebDriver BiDi: JSON messages over a WebSocket to this machine."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.waiting import LIMIT

PREFERENCES: dict[str, object] = {
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "media.autoplay.default": 0,
    "media.gmp-manager.updateEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.proxy.type": 1,  # a proxy that is not there: Firefox itself reaches nothing
    "network.proxy.http": "127.0.0.1",
    "network.proxy.http_port": 9,
    "network.proxy.ssl": "127.0.0.1",
    "network.proxy.ssl_port": 9,
    "toolkit.telemetry.enabled": False,
    "ui.useOverlayScrollbars": 1,
}
FLAGS = ("--headless", "--no-remote", "--remote-debugging-port=0")
KEYS = {"ArrowRight": "\ue014", "ArrowLeft": "\ue012", "ArrowDown": "\ue015"}
KEYS |= {"Home": "\ue011", "End": "\ue010", "Enter": "\ue007", "Escape": "\ue00c"}
SERVER = "WebDriverBiDiServer.json"  # in the profile: where Firefox listens
PATIENCE = 60.0  # seconds for a start or an answer on a busy machine


class DoesNotStart(Exception):
    """The browser itself, whatever the page; a reason to skip."""


class WebSocket:
    """The client's end of RFC 6455: text messages only."""

    def __init__(self, host: str, port: int, path: str) -> None:
        self.line = socket.create_connection((host, port), timeout=PATIENCE)
        key = base64.b64encode(os.urandom(16)).decode()
        asked = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
        asked += f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
        self.line.sendall(f"{asked}\r\n".encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += self._read(1)
        assert answer.startswith(b"HTTP/1.1 101"), answer

    def _read(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            part = self.line.recv(size - len(parts))
            assert part, "Firefox has gone away"
            parts += part
        return bytes(parts)

    def send(self, text: str) -> None:
        data, mask = text.encode(), os.urandom(4)
        size = len(data)
        head = b"\x81" + (
            bytes([0x80 | size])
            if size < 126
            else b"\xfe" + struct.pack(">H", size)
            if size < 1 << 16
            else b"\xff" + struct.pack(">Q", size)
        )
        hidden = bytes(byte ^ mask[n % 4] for n, byte in enumerate(data))
        self.line.sendall(head + mask + hidden)

    def receive(self) -> str:
        """The next text message; its fragments are joined."""
        text = b""
        while True:
            first, size = self._read(2)
            if size == 126:
                (size,) = struct.unpack(">H", self._read(2))
            elif size == 127:
                (size,) = struct.unpack(">Q", self._read(8))
            payload, opcode = self._read(size), first & 0x0F
            assert opcode != 8, "Firefox has closed the connection"
            if opcode in (0, 1):
                text += payload
                if first & 0x80:
                    return text.decode()

    def close(self) -> None:
        self.line.close()


class Firefox:
    """The same methods as `Chromium`."""

    name = "firefox"

    def __init__(self, program: str, profile: Path) -> None:
        lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in PREFERENCES.items()]
        (profile / "user.js").write_text("\n".join(lines))
        self.process = subprocess.Popen(
            [program, *FLAGS, "--profile", str(profile), "about:blank"],
            env={**os.environ, "HOME": str(profile), "MOZ_CRASHREPORTER_DISABLE": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.count = 0
        self.events: list[dict[str, Any]] = []
        server = self._server(profile / SERVER)
        self.line = WebSocket(server["ws_host"], server["ws_port"], "/session")
        self.send("session.new", capabilities={})
        self.send("session.subscribe", events=["log.entryAdded", "network.beforeRequestSent"])
        tree = self.send("browsingContext.getTree")
        self.page = tree["contexts"][0]["context"]

    def _server(self, path: Path) -> dict[str, Any]:
        until = time.monotonic() + PATIENCE
        while True:
            if self.process.poll() is not None:
                raise DoesNotStart("Firefox ends at its start on this machine")
            try:
                server: dict[str, Any] = json.loads(path.read_text())
            except (OSError, json.JSONDecodeError):
                if time.monotonic() > until:
                    os.killpg(self.process.pid, signal.SIGKILL)
                    raise DoesNotStart("Firefox does not start on this machine") from None
                time.sleep(0.1)
            else:
                return server

    def send(self, method: str, **params: Any) -> Any:
        self.count += 1
        self.line.send(json.dumps({"id": self.count, "method": method, "params": params}))
        while True:
            answer = json.loads(self.line.receive())
            if answer.get("id") == self.count:
                assert answer["type"] == "success", answer
                return answer["result"]
            self.events.append(answer)

    def open(
        self,
        url: str,
        size: tuple[int, int] = (1280, 900),
        *,
        dark: bool = False,
        phone: bool = False,
    ) -> None:
        assert not dark, "Firefox is asked for its light scheme only"
        self.send(
            "browsingContext.setViewport",
            context=self.page,
            viewport={"width": size[0], "height": size[1]},
            devicePixelRatio=2 if phone else 1,
        )
        self.events.clear()
        self.send("browsingContext.navigate", context=self.page, url=url, wait="complete")

    def js(self, expression: str) -> Any:
        answer = self.send(
            "script.evaluate",
            expression=expression,
            target={"context": self.page},
            awaitPromise=True,
            userActivation=True,
        )
        assert answer["type"] == "success", answer
        return plain(answer["result"])

    def wait(self, expression: str, limit: float = LIMIT) -> None:
        until = time.monotonic() + limit
        while not self.js(expression):
            assert time.monotonic() < until, f"never came true: {expression}"
            time.sleep(0.02)

    def _act(self, **source: Any) -> None:
        self.send("input.performActions", context=self.page, actions=[source])

    def click(self, x: float, y: float) -> None:
        self._act(
            type="pointer",
            id="mouse",
            actions=[
                {"type": "pointerMove", "x": round(x), "y": round(y)},
                {"type": "pointerDown", "button": 0},
                {"type": "pointerUp", "button": 0},
            ],
        )

    def press(self, key: str, code: int, text: str = "") -> None:
        self._keys([KEYS.get(key, text or key)])

    def type(self, text: str) -> None:
        self._keys(text)

    def _keys(self, values: Iterable[str]) -> None:
        kinds = ("keyDown", "keyUp")
        actions = [{"type": kind, "value": value} for value in values for kind in kinds]
        self._act(type="key", id="keys", actions=actions)

    def complaints(self) -> list[str]:
        """Console messages since the page was opened: errors, blocked content, exceptions."""
        self.js("new Promise(done => setTimeout(done, 50))")
        return [json.dumps(e["params"]) for e in self.events if e["method"] == "log.entryAdded"]

    def requests(self) -> list[str]:
        asked = (e for e in self.events if e["method"] == "network.beforeRequestSent")
        return [e["params"]["request"]["url"] for e in asked]

    def screenshot(self, path: Path, *, full: bool = True) -> bytes:
        origin = "document" if full else "viewport"
        answer = self.send("browsingContext.captureScreenshot", context=self.page, origin=origin)
        picture = base64.b64decode(answer["data"])
        path.write_bytes(picture)
        return picture

    def close(self) -> None:
        self.line.close()
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(LIMIT)


def plain(value: dict[str, Any]) -> Any:
    """A value of BiDi as one of Python."""
    kind, content = value["type"], value.get("value")
    if kind == "array":
        return [plain(item) for item in content or []]
    if kind == "object":
        return {key: plain(item) for key, item in content or []}
    if kind == "number" and isinstance(content, str):
        return float(content.replace("Infinity", "inf").replace("-0", "-0.0"))
    return content
