"""What a decoding process can no longer do, tried from inside one."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from av_tagger.clip import Clip
from av_tagger.media import DecoderPool, doctor, make_backend, sandbox
from av_tagger.media.decode_process import DecodeProcess
from av_tagger.media.sandbox import ARCHITECTURES, SWITCH, Sandbox
from av_tagger.protocols import DecodeRequest
from tests import ROOT
from tests.assets import make_video

ONLY_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")


def in_decoder(target: str, *arguments: Any) -> Any:
    """The result of a function of this module in a decoding process."""
    with DecodeProcess(search=[ROOT]) as process:
        return process.call(f"{__name__}:{target}", *arguments, path=Path("-"), limit_seconds=30)


def outcome(attempt: Callable[[], Any]) -> str:
    try:
        attempt()
    except OSError as error:
        return type(error).__name__
    return "done"


def attempts_to_write(folder: Path) -> dict[str, str]:
    return {
        "make": outcome(lambda: (folder / "new").write_bytes(b"x")),
        "change": outcome(lambda: (folder / "old").write_bytes(b"x")),
        "append": outcome(lambda: (folder / "old").open("ab").close()),
        "cut": outcome(lambda: os.truncate(folder / "old", 0)),
        "rename": outcome(lambda: (folder / "old").rename(folder / "other")),
        "remove": outcome((folder / "old").unlink),
        "link": outcome(lambda: (folder / "link").symlink_to("old")),
        "folder": outcome((folder / "sub").mkdir),
        "pipe": outcome(lambda: os.mkfifo(folder / "pipe")),
        "read": outcome((folder / "old").read_bytes),
        "null": outcome(lambda: Path(os.devnull).write_bytes(b"x")),
        "memory": outcome(lambda: os.close(os.memfd_create("x"))),
    }


def attempts_to_call(path: Path) -> dict[str, str]:
    def connect() -> None:
        socket.create_connection(("127.0.0.1", 9), timeout=1)

    def unix() -> None:
        socket.socket(socket.AF_UNIX).connect(str(path))

    return {
        "tcp": outcome(connect),
        "udp": outcome(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()),
        "ipv6": outcome(lambda: socket.socket(socket.AF_INET6).close()),
        "unix": outcome(unix),
        "program": outcome(lambda: subprocess.run(["true"], check=True)),
        "exec": outcome(lambda: os.execv("/bin/true", ["true"])),
        "trace": outcome(lambda: refused_call(ctypes.CDLL(None, use_errno=True).ptrace)),
        "child": outcome(lambda: in_child(lambda: socket.socket().close())),
    }


def refused_call(function: Any) -> None:
    if function(0, 0, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "refused")


def in_child(attempt: Callable[[], Any]) -> None:
    """What is given up holds for children, too."""
    child = os.fork()
    if child == 0:
        os._exit(0 if outcome(attempt) == "done" else 1)
    if os.waitpid(child, 0)[1]:
        raise PermissionError


def attempts_to_signal(pid: int) -> str:
    return outcome(lambda: os.kill(pid, signal.SIGTERM))


def core_limit() -> int:
    import resource

    return resource.getrlimit(resource.RLIMIT_CORE)[1]


@ONLY_LINUX
def test_a_decoder_writes_no_file(tmp_path: Path) -> None:
    if not in_decoder("landlock_version"):
        pytest.skip("this kernel has no Landlock")
    (tmp_path / "old").write_bytes(b"kept")
    found = in_decoder("attempts_to_write", tmp_path)
    allowed = {"read", "null", "memory"}
    assert {name for name, how in found.items() if how == "done"} == allowed, found
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert (tmp_path / "old").read_bytes() == b"kept"


@ONLY_LINUX
def test_a_decoder_opens_no_socket_and_runs_no_program(tmp_path: Path) -> None:
    if platform.machine() not in ARCHITECTURES:
        pytest.skip("no filter for this processor")
    found = in_decoder("attempts_to_call", tmp_path / "socket")
    assert set(found.values()) == {"PermissionError"}, found


@ONLY_LINUX
def test_a_decoder_sends_no_signal_to_other_processes() -> None:
    if in_decoder("landlock_version") < 6:
        pytest.skip("needs version 6 of Landlock")
    with subprocess.Popen(["sleep", "60"]) as other:
        assert in_decoder("attempts_to_signal", other.pid) == "PermissionError"
        other.kill()


def landlock_version() -> int:
    return sandbox.entered().landlock


@ONLY_LINUX
def test_a_decoder_leaves_no_core_dump() -> None:
    assert in_decoder("core_limit") == 0


@ONLY_LINUX
def test_the_rights_can_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "off")
    (tmp_path / "old").write_bytes(b"x")
    assert in_decoder("attempts_to_write", tmp_path)["make"] == "done"
    assert "the rights of the user, at most" in doctor.isolation()


@pytest.mark.parametrize("missing", ["landlock", "seccomp", "both"])
def test_kernels_without_support_give_up_less(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With system calls that fail as on such kernels; nothing is given up in this process."""

    class Libc:
        def prctl(self, option: ctypes.c_long, *_: object) -> int:
            return -1 if missing != "landlock" and option.value == sandbox.PR_SET_SECCOMP else 0

        def syscall(self, number: ctypes.c_long, *_: object) -> int:
            landlock = number.value == sandbox.LANDLOCK_CREATE
            if landlock:
                return -1  # so that no real descriptor is needed
            return -1 if missing != "landlock" else 0

    monkeypatch.setattr(sandbox.ctypes, "CDLL", lambda *_, **__: Libc())
    monkeypatch.setattr(sandbox, "no_core_dumps", lambda: None)
    monkeypatch.setattr(sandbox, "_entered", Sandbox())
    monkeypatch.setattr(sandbox.sys, "platform", "linux")
    monkeypatch.setattr(sandbox.platform, "machine", lambda: "x86_64")
    assert sandbox.enter() == Sandbox(0, seccomp=missing == "landlock")


def test_other_systems_keep_their_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox.sys, "platform", "darwin")
    assert str(sandbox.enter()) == "the rights of the user"


def test_what_was_given_up_is_said() -> None:
    assert str(Sandbox(7, True)) == (
        "writes no files (Landlock 7), no network and no programs (seccomp)"
    )
    assert str(Sandbox(0, True)) == "no network and no programs (seccomp)"


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_the_filter_refuses_the_listed_calls_and_no_others(machine: str) -> None:
    """The program is run here, as the kernel would."""
    known = ARCHITECTURES[machine]
    code = sandbox._filter(known)

    def verdict(number: int, audit: int = known.audit) -> int:
        place, value = 0, 0
        while True:
            operation, yes, no, k = sandbox.struct.unpack_from("<HBBI", code, 8 * place)
            place += 1
            match operation:
                case sandbox.LOAD:
                    value = {0: number, 4: audit}[k]
                case sandbox.JUMP_IF_EQUAL:
                    place += yes if value == k else no
                case sandbox.JUMP_IF_AT_LEAST:
                    place += yes if value >= k else no
                case _:
                    return int(k)

    refused = [n for n in range(500) if verdict(n) == sandbox.REFUSE]
    assert refused == sorted(known.refused)
    assert verdict(0x40000000 + 41) == sandbox.REFUSE
    assert verdict(0, audit=0x40000003) == sandbox.REFUSE  # i386
    assert {verdict(n) for n in range(500)} == {sandbox.REFUSE, sandbox.ALLOW}


@ONLY_LINUX
def test_the_numbers_of_system_calls_are_those_of_the_kernel() -> None:
    """Compared with the headers, where they are installed."""
    names = re.split(
        r"\s+",
        """socket connect accept bind listen accept4 execve execveat ptrace process_vm_readv
        process_vm_writev pidfd_getfd mount umount2 unshare setns add_key request_key keyctl bpf
        perf_event_open userfaultfd open_by_handle_at io_uring_setup""",
    )
    headers = {
        "x86_64": list(Path("/usr/include").glob("**/asm/unistd_64.h")),
        "aarch64": [Path("/usr/include/asm-generic/unistd.h")],
    }
    read = 0
    for machine, files in headers.items():
        for file in (f for f in files if f.is_file()):
            defined = {
                words[1].removeprefix("__NR_").removeprefix("NR3264_"): words[2]
                for words in map(str.split, file.read_text().splitlines())
                if len(words) == 3 and words[0] == "#define"
            }
            expected = [int(defined[name]) for name in names]
            assert list(ARCHITECTURES[machine].refused) == expected, file
            read += 1
    if not read:
        pytest.skip("the headers of the kernel are not installed")


def test_the_doctor_asks_a_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "GiB of memory each" in doctor.isolation()
    monkeypatch.setattr(doctor, "CAN_ISOLATE", False)
    assert doctor.isolation().startswith("none: files are decoded in this process")


@pytest.mark.parametrize("name", ["pyav", "decord"])
def test_files_are_decoded_as_without_a_sandbox(name: str, tmp_path: Path) -> None:
    if name == "decord":
        pytest.importorskip("decord")
    clip = Clip(make_video(tmp_path / "a.mp4"))
    request = DecodeRequest()
    plain = list(make_backend(name).windows(clip, request))
    pool = DecoderPool(name, keep=0)
    boxed = list(pool.windows(clip, request))
    for left, right in zip(plain, boxed, strict=True):
        assert left.waveform is not None
        assert right.waveform is not None
        assert left.frames is not None
        assert right.frames is not None
        assert (left.waveform.samples == right.waveform.samples).all()
        assert (left.frames.images == right.frames.images).all()
