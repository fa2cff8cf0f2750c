"""One wheel by pip: the user's settings, an index that does not answer, and reasons."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from av_tagger import pip_download
from av_tagger.errors import WeightsError
from av_tagger.pip_download import (
    IndexUnreachableError,
    NotInIndexError,
    PipError,
    PipMissingError,
    download_wheel,
)
from av_tagger.wheels import Wheel
from tests.ports import closed_port
from tests.waiting import LIMIT

CONTENT = {"toy_weights/w.bin": bytes(range(256)) * 40}


@pytest.fixture
def limits(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the limits is short: the one that the program exceeds."""
    patient = replace(pip_download.LIMITS, start=LIMIT, answer=LIMIT, stall=LIMIT, total=LIMIT)
    short = replace(patient, poll=0.01, **{request.param: 0.3})
    monkeypatch.setattr(pip_download, "LIMITS", short)


def test_a_wheel_from_a_folder(
    tmp_path: Path, index: Path, make_wheel: Callable[..., Wheel]
) -> None:
    wheel = make_wheel(index, "toy-weights", "1.0", CONTENT)
    make_wheel(index, "toy-weights", "2.0", CONTENT)
    path = download_wheel("toy-weights==1.0", tmp_path / "down")
    assert path.name == wheel.filename
    assert path.read_bytes() == (index / wheel.filename).read_bytes()


def test_pip_is_called_as_documented(
    tmp_path: Path, fake_pip: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's settings arrive, output is forced, a pip.py in the folder is not run."""
    monkeypatch.setenv("PIP_QUIET", "3")
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/simple")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pip.py").write_text("raise SystemExit('a stranger')")
    fake_pip("""
        (dest / "toy-1-py3-none-any.whl").write_text("\\n".join([
            *sys.argv[1:], os.environ["PIP_INDEX_URL"], os.environ["PIP_QUIET"],
            os.environ["PIP_NO_INPUT"]]))
    """)
    path = download_wheel("toy==1", tmp_path / "down")
    said = path.read_text().splitlines()
    assert said[:4] == ["download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    assert said[-4:] == ["toy==1", "https://mirror.example/simple", "0", "1"]


def test_progress_is_what_arrives(tmp_path: Path, fake_pip: Callable[[str], None]) -> None:
    """The program writes a thousand bytes more when the last thousand have been reported."""
    fake_pip(f"""
        say("Collecting toy==1")
        with (scratch / "part").open("wb") as file:
            for n in range(1, 6):
                file.write(b"x" * 1000); file.flush()
                while not (Path({str(tmp_path)!r}) / str(n * 1000)).exists():
                    time.sleep(0.01)
        (scratch / "part").rename(dest / "toy-1-py3-none-any.whl")
    """)
    seen: list[int] = []

    def report(size: int) -> None:
        seen.append(size)
        (tmp_path / str(size)).touch()

    path = download_wheel("toy==1", tmp_path / "down", report)
    assert path.stat().st_size == 5000
    assert seen == [1000, 2000, 3000, 4000, 5000]


def test_an_endless_wheel_is_cut_off(tmp_path: Path, fake_pip: Callable[[str], None]) -> None:
    fake_pip("""
        say("Collecting toy==1")
        with (scratch / "part").open("wb") as file:
            while True:
                file.write(b"x" * 1000); file.flush(); time.sleep(0.01)
    """)
    with pytest.raises(PipError, match="the package index sends more than 20000 bytes"):
        download_wheel("toy==1", tmp_path / "down", most=20_000)


def test_what_is_nowhere(tmp_path: Path, index: Path, make_wheel: Callable[..., Wheel]) -> None:
    with pytest.raises(NotInIndexError, match="does not have it"):
        download_wheel("toy-weights==1.0", tmp_path / "a")
    make_wheel(index, "toy-weights", "2.0", CONTENT)
    with pytest.raises(NotInIndexError, match="does not have it"):
        download_wheel("toy-weights==1.0", tmp_path / "b")


def test_half_a_wheel(tmp_path: Path, index: Path, make_wheel: Callable[..., Wheel]) -> None:
    path = index / make_wheel(index, "toy-weights", "1.0", CONTENT).filename
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(PipError, match="invalid"):
        download_wheel("toy-weights==1.0", tmp_path / "down")


def test_a_refused_connection(tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    with closed_port() as port:
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{port}/simple")
        with pytest.raises(IndexUnreachableError, match="connection refused"):
            download_wheel("toy-weights==1.0", tmp_path / "down")


def test_a_real_pip_and_a_silent_index(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's timeout of minutes does not keep us waiting."""
    monkeypatch.setattr(pip_download, "LIMITS", replace(pip_download.LIMITS, answer=1.0))
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "180")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{port}/simple")
        with pytest.raises(IndexUnreachableError, match="does not answer within 1 s"):
            download_wheel("toy-weights==1.0", tmp_path / "down")


@pytest.mark.parametrize("limits", ["answer"], indirect=True)
def test_an_index_that_never_answers(
    tmp_path: Path, fake_pip: Callable[[str], None], limits: None
) -> None:
    fake_pip("""
        (scratch / "pip-build-tracker-1").mkdir()
        say("Looking in indexes: https://mirror.example/simple")
        time.sleep(600)
    """)
    with pytest.raises(IndexUnreachableError, match=r"does not answer within 0.3 s"):
        download_wheel("toy==1", tmp_path / "down")


@pytest.mark.parametrize("limits", ["stall"], indirect=True)
def test_a_download_that_stalls(
    tmp_path: Path, fake_pip: Callable[[str], None], limits: None
) -> None:
    fake_pip("""
        say("Collecting toy==1")
        (scratch / "part").write_bytes(b"x" * 1000)
        time.sleep(600)
    """)
    with pytest.raises(IndexUnreachableError, match="stalled"):
        download_wheel("toy==1", tmp_path / "down")


@pytest.mark.parametrize(
    ("said", "kind", "reason"),
    [
        ("WARNING: Retrying after 'ProxyError(...)'", IndexUnreachableError, "proxy refuses"),
        ("ERROR: SSLError CERTIFICATE_VERIFY_FAILED", IndexUnreachableError, "certificate"),
        (
            "'NewConnectionError(Name or service not known)'",
            IndexUnreachableError,
            "name cannot be resolved",
        ),
        ("ERROR: OSError: [Errno 28] No space left on device", OSError, "No space left"),
        ("ERROR: Hashes are required in --require-hashes mode", PipError, "Hashes are required"),
        ("Traceback\nValueError: odd", PipError, "ValueError: odd"),
        ("", PipError, "no message"),
    ],
)
def test_reasons(
    tmp_path: Path, fake_pip: Callable[[str], None], said: str, kind: type[Exception], reason: str
) -> None:
    fake_pip(f"print({said!r}); sys.exit(1)")
    with pytest.raises(kind, match=reason) as caught:
        download_wheel("toy==1", tmp_path / "down")
    assert type(caught.value) is kind


def test_success_without_a_wheel(tmp_path: Path, fake_pip: Callable[[str], None]) -> None:
    fake_pip("")
    with pytest.raises(PipError, match="0 wheels"):
        download_wheel("toy==1", tmp_path / "down")


def test_no_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pip_download.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PipMissingError, match="this Python has no pip"):
        download_wheel("toy==1", tmp_path / "down")
    monkeypatch.undo()
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(PipMissingError):
        download_wheel("toy==1", tmp_path / "down")


def test_every_failure_is_one_that_the_user_can_mend() -> None:
    for kind in (PipError, PipMissingError, IndexUnreachableError, NotInIndexError):
        assert issubclass(kind, WeightsError)
