"""Run the notebooks and store them with their outputs: `python -m tests.notebooks.stored`.

Left out of what is stored: sound, which would be most of the file and which few viewers play, and
widgets, which show nothing without a kernel. Pictures are stored in 256 colours, half as large.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbclient
import nbformat
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "notebooks"
NAMES = ["1_hear", "2_see", "3_fuse", "4_evaluate"]
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
WIDGET = "application/vnd.jupyter.widget-view+json"


def read(name: str) -> Any:
    """A notebook as it is stored."""
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def code_cells(book: Any) -> list[Any]:
    return [cell for cell in book.cells if cell.cell_type == "code"]


def sources_of(book: Any) -> str:
    """A checksum of the code; stored with the outputs, it says which code they come from."""
    code = "\0".join(cell.source for cell in code_cells(book))
    return hashlib.sha256(code.encode()).hexdigest()


def executed(name: str, folder: Path) -> Any:
    """A notebook after a run from top to bottom in an empty folder."""
    book = read(name)
    nbclient.NotebookClient(
        book,
        timeout=240,
        startup_timeout=240,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    ).execute()
    return book


def as_stored(book: Any) -> Any:
    """The notebook without what differs from machine to machine."""
    for cell in code_cells(book):
        cell.outputs = [o for o in cell.outputs if WIDGET not in o.get("data", {})]
        for output in cell.outputs:
            if "<audio" in output.get("data", {}).get("text/html", ""):
                del output.data["text/html"]
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = smaller(output.data["image/png"])
    language = {"name": "python"}
    known = {"kernelspec": KERNEL, "language_info": language, "sources": sources_of(book)}
    book.metadata = nbformat.from_dict(known)
    return book


def smaller(png: str) -> str:
    """A picture, base64, with a palette."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(base64.b64decode(png))) as picture:
        few = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    few.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def main(names: list[str]) -> None:
    os.environ["PYTHONPATH"] = str(ROOT)
    for name in names or NAMES:
        with tempfile.TemporaryDirectory() as folder:
            os.environ |= {"IPYTHONDIR": folder, "JUPYTER_RUNTIME_DIR": folder}
            book = as_stored(executed(name, Path(folder)))
        path = FOLDER / f"{name}.ipynb"
        nbformat.write(book, path)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
