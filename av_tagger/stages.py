"""Names of the stages of a computation, for an optional profiler."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

Watch = Callable[[str], AbstractContextManager[Any]]

_watch: ContextVar[Watch | None] = ContextVar("watch", default=None)


def stage(name: str) -> AbstractContextManager[Any]:
    """`with stage("features"):` around the code of a stage."""
    watch = _watch.get()
    return nullcontext() if watch is None else watch(name)


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Call `watch` with the name of every stage that runs in this thread inside the block."""
    token = _watch.set(watch)
    try:
        yield
    finally:
        _watch.reset(token)
