"""Training of own classes on the answers, as a process of its own with a log."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from av_tagger.errors import UsageError, sentence
from av_tagger.review.labels import WINDOWS
from av_tagger.review.state import ReviewState

FEWEST = 8  # answers yes of a class
TAIL = 4000  # bytes of the log that are shown


@dataclass
class HeadTraining:
    """`av-tag train own-classes` on the table of played parts."""

    folder: Path
    device: str = "auto"
    _process: subprocess.Popen[bytes] | None = None

    @property
    def command(self) -> list[str]:
        return [
            *("train", "own-classes", "--data", str(self.folder / WINDOWS)),
            *("-o", str(self._run), "--device", self.device),
        ]

    @property
    def _run(self) -> Path:
        """The first free name: runs are kept."""
        names = (self.folder / f"ear-{k}" for k in range(1, 10_000))
        return next(path for path in names if not path.exists())

    def start(self, state: ReviewState) -> list[str]:
        """The command that runs now. Refuses with too few answers, or while one is running."""
        if self._process is not None and self._process.poll() is None:
            raise UsageError("training is running; wait until it ends")
        counts = state.positives()
        ready = sorted(label for label, n in counts.items() if n >= FEWEST)
        if not ready:
            best = max(counts.values(), default=0)
            reason = f"no class has {FEWEST} answers yes (the most are {best})"
            raise UsageError(sentence("training", reason, "answer more"))
        command = [*self.command, "--classes", "data"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - no part of it comes from the page
                [sys.executable, "-m", "av_tagger", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return ["av-tag", *command]

    def progress(self) -> dict[str, Any]:
        """Whether it runs, its exit code, and the end of its log."""
        process = self._process
        if process is None:
            return {"running": False, "code": None, "log": ""}
        code = process.poll()
        text = self._log.read_bytes()[-TAIL:].decode("utf-8", "replace")
        return {"running": code is None, "code": code, "log": text.replace("\r", "\n")}

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait()

    @property
    def _log(self) -> Path:
        return self.folder / "training.log"
