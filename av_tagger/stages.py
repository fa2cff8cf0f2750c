"""Names for the parts of a long piece of work, so that whoever runs it can see where the time goes; nobody has to watch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

Watch = Callable[[str], AbstractContextManager[Any]]

_watch: ContextVar[Watch | None] = ContextVar("watch", default=None)


def stage(name: str) -> AbstractContextManager[Any]:
    """`with stage("features"):` around the work that is called so."""
    watch = _watch.get()
    return nullcontext() if watch is None else watch(name)


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Within it, and in this thread only, `watch` is told of every stage."""
    token = _watch.set(watch)
    try:
        yield
    finally:
        _watch.reset(token)
