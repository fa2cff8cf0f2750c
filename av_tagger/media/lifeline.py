"""Ends a child process when this process is gone, even by kill -9."""

from __future__ import annotations

import os


class Lifeline:
    """A pipe whose write end only this process holds: when it closes, the kernel ends the child.

    Start the child with `pass_fds=[reader]`, then call `tie`. When the write end closes, the kernel
    sends SIGIO to the child, whose default action is to terminate: no code runs in the child.
    Unlike a parent-death signal it does not depend on the thread that started the child.
    """

    def __init__(self) -> None:
        self.reader, self._writer = os.pipe()

    def tie(self, pid: int) -> None:
        """Let the kernel watch the pipe for the child, which keeps the only read end."""
        try:
            import fcntl

            fcntl.fcntl(self.reader, fcntl.F_SETOWN, pid)
            flags = fcntl.fcntl(self.reader, fcntl.F_GETFL)
            fcntl.fcntl(self.reader, fcntl.F_SETFL, flags | os.O_ASYNC)
        except (ImportError, OSError, AttributeError):
            pass  # not on this system: the child ends when it next uses its closed socket
        finally:
            os.close(self.reader)

    def close(self) -> None:
        os.close(self._writer)
