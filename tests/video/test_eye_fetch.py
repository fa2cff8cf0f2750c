"""What the eye downloads and keeps, from a server on the loopback that stands in for the hubs."""

from __future__ import annotations

import functools
import hashlib
import http.server
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from av_tagger import weights
from av_tagger.errors import WeightsError
from av_tagger.labels import ClassList, SoundClass, dcase2017
from av_tagger.video import fetch
from av_tagger.video.alexnet import ARCHITECTURES
from av_tagger.video.branch import EyeSettings
from av_tagger.video.eyes import load_features, resolve
from av_tagger.video.features import Compute
from av_tagger.video.load import load_vectors

NAMES = ("alexnet.full", "inception_v4", "glove.840B.300d")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """Stand-ins: AlexNet with a classifier of a few numbers, a safetensors file, a small zip of
    vectors.
    """
    folder = tmp_path_factory.mktemp("hub")
    state = {f"features.{k}": v for k, v in ARCHITECTURES["alexnet"].build().state_dict().items()}
    torch.save(
        state | {"classifier.6.weight": torch.zeros(3, 3)}, folder / "alexnet-owt-7be5be79.pth"
    )
    save_file({"a": torch.ones(3)}, folder / "inception_v4.tf_in1k.safetensors")
    with zipfile.ZipFile(folder / "glove.840B.300d.zip", "w") as archive:
        archive.writestr("glove.840B.300d.txt", "car 1 0\ntrain 0 1\nrhinoceros 1 1\n")
    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def mirror(hub: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder, address = hub
    monkeypatch.setenv("AV_TAGGER_CACHE", str(tmp_path))
    monkeypatch.setenv("AV_TAGGER_MIRROR", address)
    for name in NAMES:
        file = weights.CATALOGUE[name]
        content = (folder / file.filename).read_bytes()
        monkeypatch.setitem(
            weights.CATALOGUE,
            name,
            replace(file, sha256=hashlib.sha256(content).hexdigest(), size=len(content)),
        )
    return folder


def test_the_catalogue_knows_where_the_eye_s_files_are() -> None:
    for name in NAMES:
        file = weights.entry(name)
        assert all(url.startswith("https://") for url in file.urls)
        assert file.licence
    assert weights.entry("alexnet.full").sha256.startswith(
        "7be5be79"
    )  # torchvision names the file by it
    assert weights.entry("alexnet").filename == fetch.CONVOLUTIONS


def test_fetch_eye_gets_everything_once_and_keeps_little(
    mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, list[int]] = {}
    paths = fetch.fetch_eye(
        progress=lambda name: lambda done, _: seen.setdefault(name, []).append(done)
    )
    assert [path.name for path in paths] == [
        "alexnet_conv5.safetensors",
        "inception_v4.tf_in1k.safetensors",
        "glove.840B.300d.zip",
    ]
    assert set(seen) == set(fetch.STEPS)
    assert all(counts == sorted(counts) and counts[-1] > 0 for counts in seen.values())
    assert paths[0].stat().st_size < 10_000_000
    with safe_open(paths[0], "pt") as kept:
        assert kept.metadata()["source_sha256"] == weights.entry("alexnet.full").sha256
    left = [
        path.name
        for path in weights.cache_folder().iterdir()
        if path.name.startswith("alexnet-owt")
    ]
    assert left == [], "the 233 MB are thrown away"
    monkeypatch.setenv("AV_TAGGER_MIRROR", "http://127.0.0.1:9")  # nobody there
    assert fetch.fetch_eye(offline=True) == paths


def test_what_was_fetched_is_used(mirror: Path) -> None:
    fetch.fetch_alexnet()
    fetch.fetch_words()
    assert load_features(EyeSettings(), Compute()).name == "alexnet conv5"
    found = fetch.find(*fetch.GLOVE)
    assert found is not None
    space = load_vectors(found, EyeSettings(rule="paper"), dcase2017(), ("train",))
    assert space.name.startswith("glove.840B.300d.zip")
    assert space.similarity(["train"], ["Train", "Car"]).tolist() == [[1, 0]]


def test_another_file_is_refused_and_not_kept(
    mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        weights.CATALOGUE,
        "alexnet.full",
        replace(weights.CATALOGUE["alexnet.full"], sha256="0" * 64),
    )
    with pytest.raises(WeightsError):
        fetch.fetch_alexnet()
    assert fetch.find(fetch.CONVOLUTIONS) is None


def test_offline_names_everything_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AV_TAGGER_WEIGHTS", str(tmp_path / "none"))
    monkeypatch.setenv("AV_TAGGER_CACHE", str(tmp_path / "cache"))
    with pytest.raises(WeightsError) as caught:
        fetch.fetch_eye(offline=True)
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "alexnet-owt-7be5be79.pth",
        "inception_v4.tf_in1k.safetensors",
        "glove.840B.300d.zip",
    ]
    sizes = ["244.4 MB", "about 171 MB", "2176.8 MB"]
    assert all(size in line for size, line in zip(sizes, lines, strict=True))


@pytest.mark.parametrize("name", ["alexnet_conv5.safetensors", "inception_v4.tf_in1k.safetensors"])
def test_a_wrong_file_in_the_cache_is_fetched_again(mirror: Path, name: str) -> None:
    weights.cache_folder().mkdir()
    (weights.cache_folder() / name).write_bytes(b"bad")
    fetched = fetch.fetch_alexnet() if name.startswith("alexnet") else fetch.fetch_recogniser()
    assert fetched == weights.cache_folder() / name
    assert fetched.stat().st_size > 10


def test_offline_says_what_to_do(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def reached(*_: object) -> None:
        raise AssertionError("offline reached for the network")

    monkeypatch.setattr("av_tagger.download.fetch", reached)
    with pytest.raises(WeightsError, match="alexnet-owt-7be5be79"):
        fetch.fetch_eye(offline=True)


def test_files_put_by_hand_are_found_and_left_alone(
    mirror: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AV_TAGGER_WEIGHTS", str(mirror))
    assert load_features(EyeSettings(), Compute()).name == "alexnet conv5"
    fetch.fetch_eye(offline=True)
    assert (mirror / "alexnet-owt-7be5be79.pth").is_file()
    for name, files in OFFICIAL_NAMES.items():
        assert set(files) <= set(fetch.recogniser_files(name))


def test_the_shipped_table_serves_the_default_classes_only(tmp_path: Path) -> None:
    weights_file = tmp_path / "any.safetensors"
    weights_file.write_bytes(b"")
    settings = EyeSettings(recogniser_weights=weights_file)
    words = resolve(settings, dcase2017()).words
    assert words is not None
    assert (words.kind, words.file.filename) == ("table", fetch.TABLE)
    others = resolve(settings, ClassList((SoundClass("Kettle"),))).words
    assert others is not None
    assert (others.kind, others.file) == ("names", None)


OFFICIAL_NAMES = {
    "inception_v4": (
        "inceptionv4-8e4777a0.pth",
        "inception_v4.tf_in1k.safetensors",
        "inception_v4.safetensors",
    ),
    "mobilenetv2_100": ("mobilenetv2_100_ra-b33bc2c4.pth", "mobilenetv2_100.ra_in1k.safetensors"),
    "torchvision:squeezenet1_0": ("squeezenet1_0-b66bff10.pth", "squeezenet1_0.safetensors"),
}
