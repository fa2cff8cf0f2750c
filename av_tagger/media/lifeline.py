"""Ends a child process when this process is gone, even by kill -9."""

from __future__ import annotations

import os

from av_tagger.systems import signal_when_closed


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
        signal_when_closed(self.reader, pid)  # else the child ends when it next uses its socket
        os.close(self.reader)

    def close(self) -> None:
        os.close(self._writer)
