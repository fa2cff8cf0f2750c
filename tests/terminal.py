"""A pseudo-terminal: what a user sees of a command, and how wide it is."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROWS = 50
LONGEST_SECONDS = 300
# A test run that was started in the background ignores Ctrl-C, and so would its programs.
LISTENING = (
    "import os, signal, sys; signal.signal(2, signal.SIG_DFL); os.execvp(sys.argv[1], sys.argv[1:])"
)
ESCAPE = re.compile(r"\x1b\[([0-9;?]*)([a-zA-Z])")


@dataclass(frozen=True)
class Shown:
    """A finished command: its exit code and the lines that stay on the screen."""

    code: int
    raw: str

    @property
    def lines(self) -> list[str]:
        return what_stays(self.raw)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def run(
    command: Sequence[str],
    *,
    columns: int,
    folder: Path,
    environment: Mapping[str, str],
    interrupt_at: str | None = None,
) -> Shown:
    """Run a command whose stdin, stdout and stderr are a terminal of that width.

    It is interrupted, as by Ctrl-C, once it has printed `interrupt_at`. After LONGEST_SECONDS it
    is stopped with all that it started.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
    plain = {k: v for k, v in environment.items() if k not in ("COLUMNS", "NO_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-c", LISTENING, *command],
        cwd=folder,
        env={**plain, "TERM": "xterm-256color"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    stop = threading.Timer(LONGEST_SECONDS, os.killpg, (process.pid, signal.SIGKILL))
    stop.start()
    pieces = []
    while piece := _read(ours):
        pieces.append(piece)
        if interrupt_at is not None and interrupt_at.encode() in b"".join(pieces):
            os.killpg(process.pid, signal.SIGINT)
            interrupt_at = None
    code = process.wait()
    stop.cancel()
    os.close(ours)
    return Shown(code, b"".join(pieces).decode("utf-8", "replace"))


def _read(descriptor: int) -> bytes:
    """The next bytes; none when the other side is closed, which Linux calls an error."""
    try:
        return os.read(descriptor, 65536)
    except OSError as error:
        if error.errno == errno.EIO:
            return b""
        raise


def what_stays(raw: str) -> list[str]:
    """The lines that are left when spinners and bars have been drawn over and erased.

    Follows what rich sends: return, new line, cursor up, erase line. Lines are as long as they
    were written: a wider one than the terminal is one line here.
    """
    lines, row, column, at = [""], 0, 0, 0
    while at < len(raw):
        escape = ESCAPE.match(raw, at)
        if escape:
            at = escape.end()
            if escape[2] == "A":
                row = max(0, row - int(escape[1] or 1))
            elif escape[2] == "K":
                lines[row] = "" if escape[1] == "2" else lines[row][:column]
            continue
        character, at = raw[at], at + 1
        if character == "\r":
            column = 0
        elif character == "\n":
            row += 1
            if row == len(lines):
                lines.append("")
        else:
            lines[row] = lines[row][:column].ljust(column) + character + lines[row][column + 1 :]
            column += 1
    return [line.rstrip() for line in lines]
