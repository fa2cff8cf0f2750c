"""Writing a weights file so that it appears whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from av_tagger.errors import StorageError, sentence


def write_whole(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            sentence(path, f"cannot be written ({error.strerror})", "choose another folder")
        ) from error
