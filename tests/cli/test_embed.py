"""av-tag embed, and av-tag weights convert: what they write, what they say, and how they end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from av_tagger import weights
from av_tagger.audio.known.efficientat import EfficientAT
from av_tagger.audio.known.yamnet import YAMNet
from av_tagger.cli.main import main
from av_tagger.reports.embeddings import made_by, read_embeddings
from tests.assets import make_audio, make_video


@pytest.fixture(scope="module")
def ear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("ear") / "tiny.pt"
    torch.save(EfficientAT(0.1).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 2.5 s, a sound of 1 s."""
    folder = tmp_path_factory.mktemp("media")
    make_video(folder / "film.mp4", seconds=2.5)
    make_audio(folder / "tone.wav", seconds=1.0)
    return folder


def run(words: Sequence[str | Path], capfd: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    out, err = capfd.readouterr()
    assert "Traceback" not in err
    return int(ended.value.code or 0), out, " ".join(err.split())


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_a_row_a_second(
    folder: Path, ear: Path, suffix: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / f"rows{suffix}"
    code, out, err = run(["embed", folder, "-o", target, "--ear", ear, "--device", "cpu"], capfd)
    assert (code, out) == (0, "")
    assert err == f"wrote {target}: 2 files, 4 embeddings of 96 numbers by {ear}"
    rows = read_embeddings(target)
    assert {Path(name).name: values.shape for name, values in rows.items()} == {
        "film.mp4": (3, 96),
        "tone.wav": (1, 96),
    }
    assert all(np.isfinite(values).all() for values in rows.values())
    assert made_by(target) == str(ear)


def test_what_cannot_be_embedded_costs_itself_only(
    folder: Path, ear: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make_video(tmp_path / "silent.mp4", seconds=0.5, audio=None)
    inputs = [tmp_path / "silent.mp4", tmp_path / "nowhere.wav", folder / "tone.wav"]
    code, _, err = run(
        ["embed", *inputs, "-o", tmp_path / "rows.npz", "--ear", ear, "--device", "cpu", "-q"],
        capfd,
    )
    assert code == 1
    assert "silent.mp4: has no audio track" in err
    assert "nowhere.wav: there is no such file" in err
    assert [Path(name).name for name in read_embeddings(tmp_path / "rows.npz")] == ["tone.wav"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["-o", "rows.csv", "--ear", "efficientat:mn04"],
            "embeddings are written as .npz or .parquet",
        ),
        (
            ["-o", "rows.npz", "--ear", "efficientat:mn99"],
            "there is no ear 'efficientat:mn99'; did you mean",
        ),
        (
            ["-o", "rows.npz", "--offline"],
            "is not here, and --offline forbids a download",
        ),
        (["-o", "rows.npz", "--ear", "crnn"], "there is no ear 'crnn'"),
    ],
)
def test_mistakes_are_one_sentence(
    folder: Path, words: list[str], said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(["embed", folder, words[0], tmp_path / words[1], *words[2:]], capfd)
    assert (code, out) == (2, "")
    assert said in err
    assert not list(tmp_path.iterdir())


def keras_file(path: Path, network: YAMNet) -> None:
    """A file like the published one: layer 1 is a convolution, 2 to 14 depthwise and pointwise."""
    with h5py.File(path, "w") as file:
        for index, layer in enumerate(network.layers):
            number, kind = (
                (1, "conv")
                if index == 0
                else (
                    index // 2 + 1 + index % 2,
                    "depthwise_conv" if index % 2 else "pointwise_conv",
                )
            )
            name, kernel = f"layer{number}/{kind}", layer.conv.weight.detach().numpy()  # type: ignore[union-attr]
            depthwise = kind == "depthwise_conv"
            key = "depthwise_kernel" if depthwise else "kernel"
            file[f"{name}/{name}/{key}:0"] = kernel.transpose(
                (2, 3, 0, 1) if depthwise else (2, 3, 1, 0)
            )
            for part, value in (
                ("beta", layer.beta),
                ("moving_mean", layer.mean),
                ("moving_variance", layer.variance),
            ):
                file[f"{name}/bn/{name}/bn/{part}:0"] = value.detach().numpy()  # type: ignore[operator]
        file["logits/logits/kernel:0"] = network.logits.weight.detach().numpy().T
        file["logits/logits/bias:0"] = network.logits.bias.detach().numpy()


def test_yamnet_is_converted_into_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without -o the result lies where the ear is looked for."""
    monkeypatch.setenv("AV_TAGGER_CACHE", str(tmp_path / "cache"))
    torch.manual_seed(1)
    network = YAMNet()
    keras_file(tmp_path / "yamnet.h5", network)
    code, out, _ = run(["weights", "convert", "yamnet", tmp_path / "yamnet.h5"], capfd)
    assert code == 0
    assert (
        weights.locate("yamnet")
        == Path(out.strip())
        == tmp_path / "cache" / "weights" / "yamnet.safetensors"
    )
    assert weights.check("yamnet") is weights.State.WHOLE
    state = load_file(Path(out.strip()))
    assert all(torch.equal(state[name], values) for name, values in network.state_dict().items())
    code, out, _ = run(
        [
            "weights",
            "convert",
            "yamnet",
            tmp_path / "yamnet.h5",
            "-o",
            tmp_path / "mine.safetensors",
        ],
        capfd,
    )
    assert (code, out.strip()) == (0, str(tmp_path / "mine.safetensors"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["alexnet", "file.h5"], "there is no converter for 'alexnet'; known: vggish, yamnet"),
        (
            ["yamnet", "file.h5"],
            "file.h5: is not an HDF5 file; give the yamnet.h5 of the AudioSet release",
        ),
        (["yamnet", "nowhere.h5"], "nowhere.h5: is not an HDF5 file"),
    ],
)
def test_convert_refuses(
    words: list[str], said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file.h5").write_text("hello")
    code, out, err = run(
        ["weights", "convert", words[0], tmp_path / words[1], "-o", tmp_path / "out.safetensors"],
        capfd,
    )
    assert (code, out) == (2, "")
    assert said in err
    assert not (tmp_path / "out.safetensors").exists()
