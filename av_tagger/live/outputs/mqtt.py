"""MQTT: a state per class, and entries for Home Assistant's discovery (extra `mqtt`)."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from av_tagger.errors import MediaError, UsageError, missing_library
from av_tagger.live.lines import LineKind, LiveLine, as_document
from av_tagger.live.run import PlainOutput

DISCOVERY = "homeassistant"
KEEP_ALIVE, OPEN_SECONDS = 30, 10.0


@dataclass(frozen=True)
class MqttAddress:
    """`mqtt://user:password@host:1883/prefix`."""

    host: str
    port: int
    prefix: str
    user: str | None = None
    password: str | None = None
    tls: bool = False


def parse_address(url: str) -> MqttAddress:
    parts = urlsplit(url)
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname:
        raise UsageError(
            f"{url}: is not a broker; write it as mqtt://host or mqtt://user:pw@host/name"
        )
    tls = parts.scheme == "mqtts"
    try:
        port = parts.port or (8883 if tls else 1883)
    except ValueError as error:
        raise UsageError(f"{url}: has no valid port") from error
    user = None if parts.username is None else unquote(parts.username)
    password = None if parts.password is None else unquote(parts.password)
    prefix = parts.path.strip("/") or "av_tagger"
    return MqttAddress(parts.hostname, port, prefix, user, password, tls)


class MqttOutput(PlainOutput):
    """ON and OFF per class under PREFIX/CLASS/state, each event as JSON under PREFIX/event.

    The broker says `offline` under PREFIX/status when this program is gone. What is said while the
    broker is away is sent when it is back.
    """

    def __init__(self, address: MqttAddress, labels: tuple[str, ...]) -> None:
        self.address, self.labels = address, labels
        self._client = _client(address)
        self._client.on_connect = self._connected
        self._answer = threading.Event()
        self._refusal: str | None = None
        where = f"mqtt://{address.host}:{address.port}"
        try:
            self._client.connect(address.host, address.port, KEEP_ALIVE)
        except (OSError, ValueError) as error:
            reason = f"cannot be reached ({error})"
            raise MediaError(where, reason, "check the broker's address") from error
        self._client.loop_start()
        self._await_answer(where)

    def take(self, line: LiveLine) -> None:
        if line.kind not in (LineKind.OPEN, LineKind.CLOSE):
            return
        document = json.dumps(as_document(line), allow_nan=False)
        self._client.publish(f"{self.address.prefix}/event", document, qos=1)
        state = "ON" if line.kind is LineKind.OPEN else "OFF"
        self._client.publish(self._topic(line.label), state, qos=1, retain=True)

    def close(self) -> None:
        info = self._client.publish(f"{self.address.prefix}/status", "offline", qos=1, retain=True)
        try:
            info.wait_for_publish(OPEN_SECONDS)
        except (RuntimeError, ValueError):
            """The broker is away; its will says `offline`."""
        self._client.disconnect()
        self._client.loop_stop()

    def _topic(self, label: str) -> str:
        return f"{self.address.prefix}/{slug(label)}/state"

    def _await_answer(self, where: str) -> None:
        """States follow the announcement, also in a run that ends at once."""
        if not self._answer.wait(OPEN_SECONDS):
            self._refusal = f"does not answer as a broker within {OPEN_SECONDS:g} s"
        if self._refusal is not None:
            self._client.disconnect()
            self._client.loop_stop()
            raise MediaError(where, self._refusal, "check the broker's address, user and password")

    def _connected(self, _: Any, __: Any, ___: Any, reason: Any, ____: Any) -> None:
        if reason.is_failure:
            self._refusal = f"refuses the connection ({reason})"
        else:
            self._refusal = None
            self._announce()
        self._answer.set()

    def _announce(self) -> None:
        """After each connection: that this program is there, and what it can hear."""
        prefix = self.address.prefix
        self._client.publish(f"{prefix}/status", "online", qos=1, retain=True)
        for label in self.labels:
            name = f"{slug(prefix)}_{slug(label)}"
            topic = f"{DISCOVERY}/binary_sensor/{name}/config"
            self._client.publish(topic, json.dumps(self._entry(label, name)), qos=1, retain=True)

    def _entry(self, label: str, name: str) -> dict[str, Any]:
        prefix = self.address.prefix
        device = {"identifiers": [slug(prefix)], "name": prefix, "manufacturer": "av_tagger"}
        return {
            "name": label,
            "unique_id": name,
            "state_topic": self._topic(label),
            "availability_topic": f"{prefix}/status",
            "device_class": "sound",
            "device": device,
        }


def slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def _client(address: MqttAddress) -> Any:
    try:
        import paho.mqtt.client as paho
    except ImportError as error:
        raise missing_library("MQTT needs", "paho-mqtt", error, "mqtt") from error
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    if address.user is not None:
        client.username_pw_set(address.user, address.password)
    if address.tls:
        client.tls_set()
    client.will_set(f"{address.prefix}/status", "offline", qos=1, retain=True)
    client.reconnect_delay_set(1, 60)
    return client
