"""Outputs: text, view, programs, webhook, MQTT, captions, journal, kept sound."""

from __future__ import annotations

import http.server
import io
import json
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from av_tagger.errors import MediaError, StorageError, UsageError
from av_tagger.live.lines import LineKind, LiveLine
from av_tagger.live.outputs import delivery, mqtt
from av_tagger.live.outputs.delivery import Delivery, command_output, webhook_output
from av_tagger.live.outputs.files import DailyJournal, GrowingCaptions
from av_tagger.live.outputs.keep import KeepSettings, KeptClips
from av_tagger.live.outputs.mqtt import MqttOutput, parse_address, slug
from av_tagger.live.outputs.text import JsonLines, PlainLines, as_text
from av_tagger.live.outputs.view import LiveView, bar
from av_tagger.live.sources.base import SoundBlock
from av_tagger.reports.schema import as_line, read_outcomes
from av_tagger.reports.schema.day import StreamHead
from av_tagger.scores import BranchInfo, Evidence, RunInfo, Status, Tagged
from tests.ports import closed_port, own_port
from tests.waiting import LIMIT, until

OPENED = LiveLine(
    LineKind.OPEN,
    65.2,
    label="Train horn",
    peak=0.81,
    probability=0.8,
    heard=0.9,
    seen=0.42,
    threshold=0.5,
    evidence=(Evidence(63.0, "steam locomotive", 0.8, 0.7),),
    number=1,
)
CLOSED = LiveLine(
    LineKind.CLOSE, 65.2, 68.4, "Train horn", 0.88, 0.8, heard=0.9, threshold=0.5, number=1
)
GAP = LiveLine(LineKind.GAP, 70.0, 75.0, text="camera: is away")


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs, servers and brokers answer in the end, however busy this machine is."""
    monkeypatch.setattr(mqtt, "OPEN_SECONDS", LIMIT)
    for name in ("COMMAND_SECONDS", "POST_SECONDS", "CLOSE_SECONDS"):
        monkeypatch.setattr(delivery, name, LIMIT)


HEAD = StreamHead(
    "rtsp://camera/live",
    BranchInfo(Status.OK, "ear", "w"),
    BranchInfo(Status.OFF, "none"),
    RunInfo("1", "cpu", "x", 0.0),
)


def test_json_lines() -> None:
    out = io.StringIO()
    output = JsonLines(out)
    output.take(OPENED)
    output.take(CLOSED)
    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    assert (first["event"], first["start"], first["evidence"][0]["object"]) == (
        "open",
        65.2,
        "steam locomotive",
    )
    assert second["end"] == 68.4


def test_plain_lines() -> None:
    assert as_text(OPENED) == (
        "01:05.2  Train horn                 0.81  heard 0.90, seen 0.42 (steam locomoti…"
    )
    assert as_text(CLOSED).endswith("0.88  ended after 3.2 s")
    assert as_text(GAP) == "01:10.0  gap: nothing was heard for 5.0 s (camera: is away)"
    out = io.StringIO()
    plain = PlainLines(out)
    plain.take(LiveLine(LineKind.SECOND, 1.0, 2.0, scores=(("Bus", 0.5),)))
    plain.take(CLOSED)
    assert out.getvalue().count("\n") == 1


def test_the_live_view_fits_eighty_columns() -> None:
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True, color_system=None)
    view = LiveView(console, "rtsp://a.very.long.name.of.a.camera/live", now=lambda: 1010.5)
    scores = tuple((f"Class with a long name, number {n}", 0.9 - n / 10) for n in range(5))
    view.take(LiveLine(LineKind.SECOND, 9.0, 10.0, scores=scores, level=-20.0, wall=1009.0))
    for n in range(12):
        view.take(LiveLine(LineKind.OPEN, float(n), label=f"Event {n}", peak=0.5))
    view.close()
    text = Console(file=io.StringIO(), width=80, color_system=None)
    with text.capture() as captured:
        text.print(view.picture())
    lines = captured.get().splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert "behind 0.5 s" in lines[0]
    assert " -20 dB" in lines[0]
    assert len(lines) == 1 + 5 + 8
    assert "Event 11" in lines[-1]


def test_bars() -> None:
    assert (bar(0.5, 4), bar(-1, 2), bar(2, 2)) == ("██░░", "░░", "██")


# Other programs.


def test_a_program_gets_each_event_on_standard_input(tmp_path: Path) -> None:
    out, said = tmp_path / "events", list[str]()
    code = f"import sys; open({str(out)!r}, 'a').write(sys.stdin.read())"
    output = command_output([sys.executable, "-c", code], said.append)
    for line in (OPENED, GAP, CLOSED):
        output.take(line)
    output.close()
    found = [json.loads(text) for text in out.read_text().splitlines()]
    assert [d["event"] for d in found] == ["open", "close"]
    assert said == []


def test_a_program_that_fails_is_told_and_the_stream_goes_on() -> None:
    said: list[str] = []
    output = command_output([sys.executable, "-c", "raise SystemExit(3)"], said.append)
    output.take(OPENED)
    output.close()
    name = sys.executable
    assert said == [f"{name}: ended with exit code 3", f"{name}: 1 events were not delivered"]


def test_no_shell_is_involved(tmp_path: Path) -> None:
    said: list[str] = []
    output = command_output(["echo; touch", str(tmp_path / "x")], said.append)
    output.take(OPENED)
    output.close()
    assert not (tmp_path / "x").exists()
    assert "No such file" in said[0]


class Hook(http.server.BaseHTTPRequestHandler):
    """Answers 500 to the first request, then takes what is posted."""

    got: list[dict[str, Any]] = []  # noqa: RUF012
    failures = 1

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if type(self).failures:
            type(self).failures -= 1
            self.send_response(500)
        else:
            self.got.append(json.loads(body))
            self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Silent."""


def test_a_webhook_gets_every_event_in_order_though_it_was_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Hook, "got", [])
    monkeypatch.setattr(Hook, "failures", 1)
    said: list[str] = []
    with http.server.HTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        output = webhook_output(f"http://127.0.0.1:{server.server_port}/x", said.append)
        output.first_pause = 0.05
        output.take(OPENED)
        output.take(CLOSED)
        output.close()
        server.shutdown()
        thread.join()
    assert [d["event"] for d in Hook.got] == ["open", "close"]
    assert said == [f"{output.name}: was answered with 500 Internal Server Error; trying again"]


def test_a_delivery_never_blocks_the_stream() -> None:
    said: list[str] = []
    blocked = threading.Event()
    output = Delivery("slow", lambda _: blocked.wait() and None, said.append)
    for _ in range(100):
        output.take(OPENED)
    blocked.set()
    output.close()
    assert said == []


# Files.


def test_captions_grow(tmp_path: Path) -> None:
    path = tmp_path / "live.vtt"
    captions = GrowingCaptions(path)
    captions.take(OPENED)
    captions.take(CLOSED)
    assert path.read_text() == "WEBVTT\n\n00:01:05.200 --> 00:01:08.400\n[Train horn]\n"
    captions.close()
    with pytest.raises(StorageError, match="cannot be written"):
        GrowingCaptions(tmp_path / "no" / "live.vtt")


def test_the_journal_has_a_file_per_day_and_a_result_that_reports_read(tmp_path: Path) -> None:
    days = ["2026-03-01"]
    journal = DailyJournal(tmp_path, HEAD, lambda: days[-1])
    for line in (OPENED, CLOSED, GAP, LiveLine(LineKind.SECOND, 1.0, 2.0)):
        journal.take(line)
    with closing(sqlite3.connect(tmp_path / "2026-03-01.sqlite")) as other:
        rows = other.execute("SELECT kind, label FROM lines ORDER BY id").fetchall()
    assert rows == [("open", "Train horn"), ("close", "Train horn"), ("gap", "")]
    days.append("2026-03-02")
    journal.take(CLOSED)
    journal.close()
    for day in days:
        (result,) = read_outcomes(tmp_path / f"{day}.jsonl")
        assert isinstance(result, Tagged)
        (same,) = read_outcomes(tmp_path / f"{day}.sqlite")
        assert as_line(same) == as_line(result)
        assert (result.ear, result.run) == (HEAD.ear, HEAD.run)
        (tag,) = result.tags
        assert (tag.label, tag.events[0].start, tag.events[0].end) == ("Train horn", 65.2, 68.4)


def test_a_journal_goes_on_after_a_restart(tmp_path: Path) -> None:
    for _ in range(2):
        journal = DailyJournal(tmp_path, HEAD, lambda: "day")
        journal.take(CLOSED)
        journal.close()
    (result,) = read_outcomes(tmp_path / "day.jsonl")
    assert isinstance(result, Tagged)
    assert len(result.tags[0].events) == 2


def test_a_journal_is_read_while_it_is_written(tmp_path: Path) -> None:
    journal = DailyJournal(tmp_path, HEAD, lambda: "day")
    journal.take(CLOSED)
    (result,) = read_outcomes(tmp_path / "day.sqlite")
    journal.close()
    assert isinstance(result, Tagged)
    assert [t.label for t in result.tags] == ["Train horn"]


def test_files_that_are_no_journals(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    path.write_text("no database, but long enough to be read as one " * 20)
    with pytest.raises(StorageError, match="cannot be read as a journal"):
        list(read_outcomes(path))
    with closing(sqlite3.connect(tmp_path / "other.sqlite")) as other:
        other.execute("CREATE TABLE x (y)")
    with pytest.raises(StorageError, match="no such table"):
        list(read_outcomes(tmp_path / "other.sqlite"))


def test_a_journal_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        DailyJournal(tmp_path / "file", HEAD)


# Kept sound.

RATE = 1000


def keep(tmp_path: Path, *, limit: int = 1 << 30, mute: bool = False) -> KeptClips:
    return KeptClips(KeepSettings(tmp_path / "kept", 2.0, 3.0, limit, mute), RATE)


def heard(output: KeptClips, first: int, last: int) -> list[LiveLine]:
    """Seconds of sound whose level tells the time."""
    lines: list[LiveLine] = []
    for second in range(first, last):
        samples = np.full(RATE, second / 1000, np.float32)
        lines += output.record(SoundBlock(samples, float(second)))
    return lines


def happens(output: KeptClips, start: float, end: float, label: str = "Siren", n: int = 1) -> None:
    output.take(LiveLine(LineKind.OPEN, start, label=label, peak=0.9, number=n))
    output.take(LiveLine(LineKind.CLOSE, start, end, label, 0.9, number=n))


def read(path: str) -> np.ndarray:
    with wave.open(path) as file:
        assert (file.getnchannels(), file.getframerate()) == (1, RATE)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32767


def test_the_sound_around_an_event_is_kept(tmp_path: Path) -> None:
    output = keep(tmp_path)
    assert heard(output, 0, 61) == []
    happens(output, 50.0, 60.0)
    (line,) = heard(output, 61, 64)
    assert (line.kind, line.start, line.end, line.number) == (LineKind.KEPT, 48.0, 63.0, 1)
    sound = read(line.text)
    assert len(sound) == 15 * RATE
    assert sound[[0, -1]] == pytest.approx([0.048, 0.062], abs=1e-3)


def test_an_event_that_is_long_open_is_kept_whole(tmp_path: Path) -> None:
    output = keep(tmp_path)
    heard(output, 0, 31)
    output.take(LiveLine(LineKind.OPEN, 30.0, label="Siren", peak=0.9, number=1))
    heard(output, 31, 101)
    output.take(LiveLine(LineKind.CLOSE, 30.0, 100.0, "Siren", 0.9, number=1))
    (line,) = heard(output, 101, 104)
    assert len(read(line.text)) == 75 * RATE


def test_memory_does_not_grow_with_the_stream(tmp_path: Path) -> None:
    output = keep(tmp_path)
    heard(output, 0, 2000)
    assert output._sound is not None
    assert output._sound.kept < 120 * RATE


def test_the_oldest_clips_go_when_the_folder_is_full(tmp_path: Path) -> None:
    output = keep(tmp_path, limit=35_000)
    for n in range(4):
        heard(output, n * 20, n * 20 + 12)
        happens(output, n * 20 + 10.0, n * 20 + 11.0, n=n + 1)
        heard(output, n * 20 + 12, n * 20 + 20)
    left = sorted(p.name for p in (tmp_path / "kept").iterdir())
    assert left == ["00000050.0-siren.wav", "00000070.0-siren.wav"]
    assert sum(p.stat().st_size for p in (tmp_path / "kept").iterdir()) <= 35_000


def test_speech_is_silenced(tmp_path: Path) -> None:
    output = keep(tmp_path, mute=True)
    heard(output, 0, 20)
    happens(output, 12.0, 13.0, "Speech", 1)
    happens(output, 10.0, 16.0, "Siren", 2)
    lines = heard(output, 20, 22)
    siren = read(next(x.text for x in lines if x.label == "Siren"))
    assert not siren[int(3.6 * RATE) : int(5.4 * RATE)].any()
    assert siren[: 3 * RATE].all()
    assert siren[6 * RATE :].all()


def test_a_full_disk_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    output = keep(tmp_path)
    heard(output, 0, 12)
    happens(output, 10.0, 11.0)
    (line,) = heard(output, 12, 15)
    assert line.kind is LineKind.NOTE
    assert "No space left on device" in line.text


# MQTT.


@pytest.mark.parametrize("url", ["http://x", "mqtt://", "mqtt://h:port/x"])
def test_addresses_of_brokers_are_checked(url: str) -> None:
    with pytest.raises(UsageError):
        parse_address(url)


def test_addresses_of_brokers() -> None:
    address = parse_address("mqtts://me:s%40@broker/house/porch")
    assert (address.host, address.port, address.prefix) == ("broker", 8883, "house/porch")
    assert (address.user, address.password, address.tls) == ("me", "s@", True)
    assert slug("Fire engine, fire truck (siren)") == "fire_engine_fire_truck_siren"


@contextmanager
def mosquitto(folder: Path, port: int, access: str = "allow_anonymous true") -> Iterator[None]:
    """A real broker on this machine."""
    pytest.importorskip("paho.mqtt.client", reason="paho-mqtt is not installed")
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip("mosquitto is not installed")
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\n{access}\n")
    with subprocess.Popen([program, "-c", str(config)], stderr=subprocess.DEVNULL) as server:
        try:
            until(lambda: server.poll() is not None or is_open(port), "the broker listens")
            assert server.poll() is None, "the broker has ended"
            yield
        finally:
            server.terminate()


def is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), LIMIT).close()
    except OSError:
        return False
    return True


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[int]:
    port = own_port()
    with mosquitto(tmp_path, port):
        yield port


@contextmanager
def relay(port: int, target: int, delay: float) -> Iterator[None]:
    """Passes one connection on to `target`; each of the target's words arrives later."""
    with socket.create_server(("127.0.0.1", port)) as server, ThreadPoolExecutor(2) as pool:
        pool.submit(_relay_one, server, target, delay, pool)
        yield


def _relay_one(server: socket.socket, target: int, delay: float, pool: ThreadPoolExecutor) -> None:
    here, _ = server.accept()
    with here, socket.create_connection(("127.0.0.1", target)) as there:
        forth = pool.submit(_copy, here, there, 0.0)
        _copy(there, here, delay)
        forth.result()


def _copy(source: socket.socket, target: socket.socket, delay: float) -> None:
    """Until one of them is closed; then the other copy ends, too."""
    with suppress(OSError):
        while words := source.recv(4096):
            time.sleep(delay)
            target.sendall(words)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


def retained(port: int, last: str) -> dict[str, str]:
    """What the broker keeps, once it has `last`: it sends that before what is said later."""
    import paho.mqtt.client as paho

    got: dict[str, str] = {}
    there, done = threading.Event(), threading.Event()

    def on_message(_: Any, __: Any, message: Any) -> None:
        got[message.topic] = message.payload.decode()
        if last in got:
            there.set()
        if "porch/later" in got:
            done.set()

    reader = paho.Client(paho.CallbackAPIVersion.VERSION2)
    reader.on_message = on_message
    reader.on_connect = lambda *_: reader.subscribe("porch/#", qos=1)
    reader.connect("127.0.0.1", port)
    reader.loop_start()
    assert there.wait(LIMIT)
    reader.publish("porch/later", "", qos=1)
    assert done.wait(LIMIT)
    reader.disconnect()
    reader.loop_stop()
    return got


def test_a_broker_that_goes_away_gets_what_was_said_meanwhile(tmp_path: Path) -> None:
    port = own_port()
    with mosquitto(tmp_path, port):
        output = MqttOutput(parse_address(f"mqtt://127.0.0.1:{port}/porch"), ("Train horn", "Bus"))
        output.take(OPENED)
        assert retained(port, "porch/train_horn/state")["porch/train_horn/state"] == "ON"
    output.take(CLOSED)
    output.take(LiveLine(LineKind.OPEN, 70.0, label="Bus", peak=0.9, number=2))
    with mosquitto(tmp_path, port):
        got = retained(port, "porch/bus/state")
        assert (got["porch/train_horn/state"], got["porch/bus/state"]) == ("OFF", "ON")
        output.close()
        assert retained(port, "porch/status")["porch/status"] == "offline"


def test_a_real_broker(broker: int) -> None:
    import paho.mqtt.client as paho

    got: dict[str, str] = {}
    states: list[str] = []
    done = threading.Event()

    def on_message(_: Any, __: Any, message: Any) -> None:
        got[message.topic] = message.payload.decode()
        if message.topic.endswith("/state"):
            states.append(message.payload.decode())
        if got.get("porch/status") == "offline":
            done.set()

    subscribed = threading.Event()
    reader = paho.Client(paho.CallbackAPIVersion.VERSION2)
    reader.on_message = on_message
    reader.on_connect = lambda *_: reader.subscribe("#", qos=1)
    reader.on_subscribe = lambda *_: subscribed.set()
    reader.connect("127.0.0.1", broker)
    reader.loop_start()
    assert subscribed.wait(LIMIT)  # later it would be told the last state only
    output = MqttOutput(parse_address(f"mqtt://127.0.0.1:{broker}/porch"), ("Train horn", "Bus"))
    output.take(OPENED)
    output.take(GAP)
    output.take(CLOSED)
    output.close()
    assert done.wait(LIMIT)
    reader.disconnect()
    reader.loop_stop()
    assert states == ["ON", "OFF"]
    assert json.loads(got["porch/event"])["event"] == "close"
    entry = json.loads(got["homeassistant/binary_sensor/porch_train_horn/config"])
    assert entry["state_topic"] == "porch/train_horn/state"
    assert entry["availability_topic"] == "porch/status"


def test_a_run_that_ends_at_once_is_announced_first(tmp_path: Path) -> None:
    """A broker that is slow to greet gets the entries before the states, and `offline` last."""
    port, slow = own_port(), own_port()
    with mosquitto(tmp_path, port), relay(slow, port, delay=0.5):
        output = MqttOutput(parse_address(f"mqtt://127.0.0.1:{slow}/porch"), ("Train horn",))
        output.take(OPENED)
        output.close()
        got = retained(port, "porch/status")
    assert (got["porch/status"], got["porch/train_horn/state"]) == ("offline", "ON")


def test_a_broker_that_wants_a_password(tmp_path: Path) -> None:
    port = own_port()
    refused = pytest.raises(MediaError, match="refuses the connection")
    with mosquitto(tmp_path, port, "allow_anonymous false"), refused as error:
        MqttOutput(parse_address(f"mqtt://127.0.0.1:{port}"), ())
    assert "user and password" in str(error.value)


def test_a_server_that_is_no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("paho.mqtt.client", reason="paho-mqtt is not installed")
    monkeypatch.setattr(mqtt, "OPEN_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(MediaError, match="does not answer as a broker"):
            MqttOutput(parse_address(f"mqtt://127.0.0.1:{port}"), ())


def test_no_broker_there() -> None:
    pytest.importorskip("paho.mqtt.client", reason="paho-mqtt is not installed")
    with closed_port() as port, pytest.raises(MediaError, match="cannot be reached"):
        MqttOutput(parse_address(f"mqtt://127.0.0.1:{port}"), ())
