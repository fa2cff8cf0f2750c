"""The program: `av-tag`, and `python -m av_tagger`."""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import suppress


class QuickEnd:
    """Ends the process after everything that is registered with `atexit`, if torch is loaded.

    To take down the interpreter with torch in it takes half a second that the shell waits for.
    """

    def __init__(self) -> None:
        self.code: int | None = None  # of the process; None: it ends as usual

    def __call__(self) -> None:
        if self.code is None or "torch" not in sys.modules:
            return
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        os._exit(self.code)


def main() -> None:
    """The console script: the command line, then a quick end."""
    end = QuickEnd()
    atexit.register(end)  # first: it is called after all others
    from av_tagger.cli.main import main as command_line

    try:
        command_line()
    except SystemExit as error:
        if isinstance(error.code, int) or error.code is None:
            end.code = error.code or 0
        raise


if __name__ == "__main__":
    main()
