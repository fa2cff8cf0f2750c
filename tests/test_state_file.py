"""Named tensors of hostile files: nothing but tensors is read, and nothing is unpacked."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from av_tagger.errors import WeightsError
from av_tagger.state_file import check_finite, read_state, safetensors_shapes

STATE = {"w": torch.arange(6.0).reshape(2, 3), "n": torch.tensor(3)}


def torch_file(path: Path, thing: object = STATE) -> Path:
    torch.save(thing, path)
    return path


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("unpickled",)


def test_both_formats(tmp_path: Path) -> None:
    tensors = tmp_path / "a.safetensors"
    tensors.write_bytes(save(STATE))
    wrapped = torch_file(tmp_path / "c.pth", {"state_dict": STATE})
    for path in (tensors, torch_file(tmp_path / "b.pt"), wrapped):
        assert torch.equal(read_state(path)["w"], STATE["w"])
    assert read_state(Path("x.safetensors"), content=save(STATE)).keys() == STATE.keys()


@pytest.mark.parametrize(
    "thing",
    [[], {}, {"w": 1}, {1: torch.zeros(1)}, {"w": Trap()}, torch.zeros(1), {"state_dict": 3}],
)
def test_other_things_are_refused(
    tmp_path: Path, thing: object, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(WeightsError, match=r"a\.pt: (cannot be read as weights|does not hold)"):
        read_state(torch_file(tmp_path / "a.pt", thing))
    assert "unpickled" not in capsys.readouterr().out


def test_torch_s_advice_to_load_a_pickle_all_the_same_is_not_passed_on(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="its pickle holds other things than tensors"):
        read_state(torch_file(tmp_path / "a.pt", {"w": Trap()}))


def test_compressed_archives_are_not_unpacked(tmp_path: Path) -> None:
    """A gigabyte of zeros in a megabyte: torch itself never compresses."""
    whole, bomb = torch_file(tmp_path / "a.pt"), tmp_path / "bomb.pt"
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(WeightsError, match=r"bomb\.pt: is compressed"):
        read_state(bomb)
    with pytest.raises(WeightsError, match="is compressed"):
        read_state(Path("bomb.pt"), content=bomb.read_bytes())


@pytest.mark.parametrize("content", [b"", b"x", pickle.dumps({"a": 1}), b"PK\x05\x06" + bytes(18)])
def test_rubbish_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    for name in ("a.pt", "a.safetensors"):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(WeightsError) as caught:
            read_state(path)
        assert str(caught.value).startswith(str(path))
        assert "\n" not in str(caught.value)


def test_numbers_are_finite(tmp_path: Path) -> None:
    check_finite(tmp_path, STATE)
    with pytest.raises(WeightsError, match="the tensor 'w' holds numbers that are not finite"):
        check_finite(tmp_path, {"w": torch.tensor([1.0, float("inf")])})
    for name, number in (("w", float("nan")), ("w", 1e30), ("norm.running_var", -0.5)):
        with pytest.raises(WeightsError, match=f"the tensor '{name}' holds numbers"):
            check_finite(tmp_path, {name: torch.tensor([1.0, number])})


def test_shapes_come_from_a_header_that_fits(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(save(STATE, {"note": "x"}))
    assert safetensors_shapes(path) == {"w": (2, 3), "n": ()}
    whole = path.read_bytes()
    deep = b"[" * 5000
    for content in (
        whole[:-1],
        whole + b"\0",
        b"",
        struct.pack("<Q", 1 << 60) + whole[8:],
        struct.pack("<Q", len(deep)) + deep,
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 14) + json.dumps({"w": {"a": 1}}).encode(),
    ):
        path.write_bytes(content)
        assert safetensors_shapes(path) is None


@pytest.mark.parametrize("zipped", [True, False])
def test_content_in_memory_is_read_from_its_start(zipped: bool) -> None:
    """The old format of torch is no archive."""
    buffer = io.BytesIO()
    torch.save(STATE, buffer, _use_new_zipfile_serialization=zipped)
    assert read_state(Path("a.pt"), content=buffer.getvalue())["n"] == 3
