"""Wheels made by code, a pip that only sees a folder, and pips that misbehave."""

from __future__ import annotations

import base64
import hashlib
import os
import sys
import textwrap
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from av_tagger.wheels import Wheel, WheelMember

MakeWheel = Callable[..., Wheel]
FakePip = Callable[[str], None]


def write_wheel(
    folder: Path, package: str, version: str, files: Mapping[str, bytes], *, compress: bool = True
) -> Wheel:
    """A wheel that pip accepts, in `folder`; all of its files are members."""
    stem = f"{package.replace('-', '_')}-{version}"
    information = f"{stem}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
    tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    inside = {
        **files,
        f"{information}/METADATA": metadata.encode(),
        f"{information}/WHEEL": tags.encode(),
    }
    record = "".join(
        f"{name},{_hash(content)},{len(content)}\n" for name, content in inside.items()
    )
    inside[f"{information}/RECORD"] = f"{record}{information}/RECORD,,\n".encode()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}-py3-none-any.whl"
    method = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in inside.items():
            archive.writestr(name, content)
    members = tuple(WheelMember(name, len(c), sha256(c)) for name, c in files.items())
    return Wheel(
        package, version, path.name, path.stat().st_size, sha256(path.read_bytes()), members
    )


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _hash(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip(
        "="
    )


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that is all that pip knows, whatever this machine has configured."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in [
        n for n in os.environ if n.upper().startswith("PIP_") or n.upper().endswith("_PROXY")
    ]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("AV_TAGGER_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("AV_TAGGER_WEIGHTS", raising=False)
    return folder


@pytest.fixture
def make_wheel() -> MakeWheel:
    return write_wheel


@pytest.fixture
def fake_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, index: Path) -> FakePip:
    """Puts a program in the place of pip; `dest` and `scratch` are pip's two folders."""
    head = """
        import os, sys, time
        from pathlib import Path
        dest, scratch = Path(sys.argv[sys.argv.index("--dest") + 1]), Path(os.environ["TMPDIR"])
        def say(text): print(text, flush=True)
    """

    def put(program: str) -> None:
        package = tmp_path / "fake" / "pip"
        package.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").write_text("")
        (package / "__main__.py").write_text(textwrap.dedent(head) + textwrap.dedent(program))
        monkeypatch.setenv("PYTHONPATH", str(package.parent))

    return put


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Path]:
    """Unpacks a wheel into a folder on the module search path, as an installer would."""

    def unpack(wheel: Path) -> Path:
        site = tmp_path / "site-packages"
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
        monkeypatch.setattr(sys, "path", [*sys.path, str(site)])
        return site

    return unpack
