"""Ports of this machine for servers that cannot choose one themselves."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager

# Below the ports that systems give to outgoing connections and to servers without a port.
PORTS = range(15_000, 32_000)
_KEPT: list[socket.socket] = []  # names that keep other test processes away from our ports


def own_port() -> int:
    """A free port that no other process of the tests is given while this one runs."""
    for port in random.SystemRandom().sample(PORTS, 200):
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0av-tagger-tests-{port}")  # in memory; it ends with the process
            with socket.create_server(("127.0.0.1", port)):
                pass
        except OSError:
            name.close()
            continue
        _KEPT.append(name)
        return port
    raise AssertionError("this machine has no free ports")


@contextmanager
def closed_port() -> Iterator[int]:
    """A port that refuses connections: it is taken, and nothing listens there."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])
