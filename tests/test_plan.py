"""From settings to a tagger: which ear listens, at whose thresholds, for which classes, and what is said about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from av_tagger import download, weights
from av_tagger.audio.checkpoint import EarThresholds, Header, read_header, save_checkpoint
from av_tagger.audio.ears import PUBLISHED, calibration_of, part_names
from av_tagger.audio.known.efficientat import EfficientAT
from av_tagger.audio.known.yamnet import YAMNet
from av_tagger.audio.network import EarArchitecture, build_network
from av_tagger.errors import UsageError, WeightsError
from av_tagger.fusion import WeightedFusion, read_fusion, write_fusion
from av_tagger.labels import dcase2017
from av_tagger.plan import STARTER_KNOWS, embedder_name, load, load_embedder
from av_tagger.tagger import Tagger

LABELS = dcase2017().labels
STARTER = "crnn.starter.safetensors"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Contents of weights files, each a network that fits: EfficientATs a tenth as wide, YAMNet as it is."""
    folder = tmp_path_factory.mktemp("published")
    torch.manual_seed(0)
    torch.save(EfficientAT(0.1).state_dict(), folder / "mn.pt")
    save_file(YAMNet().state_dict(), folder / "yamnet.safetensors")
    narrow, yamnet = (folder / "mn.pt").read_bytes(), (folder / "yamnet.safetensors").read_bytes()
    return {name: yamnet if name == "yamnet" else narrow for name in PUBLISHED}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own folder of weights, and a starter ear in it where none was shipped."""
    monkeypatch.setenv("AV_TAGGER_WEIGHTS", str(tmp_path / "own"))
    monkeypatch.setenv("AV_TAGGER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(download, "_unreachable", {})
    catalogue = {
        name: replace(file, size=None, sha256="") for name, file in weights.CATALOGUE.items()
    }
    monkeypatch.setattr(weights, "CATALOGUE", catalogue)
    (tmp_path / "own").mkdir()
    if weights.find(STARTER) is None:
        trained(tmp_path / "own" / STARTER, LABELS)
    return tmp_path / "own"


@pytest.fixture
def nobody_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: object) -> None:
        raise AssertionError("the network was touched")

    monkeypatch.setattr("socket.socket.connect", connect)
    monkeypatch.setattr("socket.getaddrinfo", connect)


def trained(path: Path, labels: tuple[str, ...], thresholds: tuple[float, ...] = ()) -> Path:
    """An ear as `av-tag train` writes it."""
    torch.manual_seed(1)
    architecture = EarArchitecture(
        len(labels), extractor_settings={"channels": (4, 4, 4, 4), "units": 4}
    )
    save_checkpoint(
        path,
        build_network(architecture),
        Header(path.stem, architecture, labels, thresholds=EarThresholds(ear=thresholds)),
    )
    return path


def listen(say: Callable[[str], None] | None = None, **settings: object) -> Tagger:
    return load(say=say, **{"only": "ear", "offline": True, "device": "cpu", **settings})


def ear_of(tagger: Tagger) -> str | None:
    return tagger.branches[0].weights


@pytest.mark.usefixtures("nobody_calls")
def test_everything_that_is_here_listens(own: Path, published: dict[str, bytes]) -> None:
    """The starter, YAMNet, and the best EfficientAT together."""
    heard: list[str] = []
    for name in ("efficientat.mn04", "yamnet", "efficientat.mn10", "efficientat.mn20"):
        (own / weights.entry(name).filename).write_bytes(published[name])
        said: list[str] = []
        heard.append(listen(said.append).branches[0].model)
        assert said == []
    assert heard == [
        "efficientat.mn04+starter",
        "yamnet+starter+efficientat.mn04",
        "yamnet+starter+efficientat.mn10",
        "yamnet+starter+efficientat.mn20",
    ]
    assert embedder_name("auto") == "efficientat.mn20"


@pytest.mark.usefixtures("nobody_calls")
def test_an_ear_answers_for_all_it_knows(own: Path, published: dict[str, bytes]) -> None:
    said: list[str] = []
    starter = listen(said.append)
    assert (starter.parts.labels, starter.parts.fold, said) == (LABELS, False, [STARTER_KNOWS])
    assert listen(said.append, classes="dcase2017").parts.labels == LABELS
    assert said == [STARTER_KNOWS]  # who asks for these classes gets them
    (own / weights.entry("yamnet").filename).write_bytes(published["yamnet"])
    both = listen()
    assert len(both.parts.labels) == 521
    assert both.parts.fold
    assert set(LABELS) <= set(both.parts.labels)
    seventeen = listen(classes="dcase2017")
    assert (seventeen.parts.labels, seventeen.parts.fold) == (LABELS, False)
    assert not listen(classes="Dog;Bark").parts.fold


@pytest.mark.usefixtures("nobody_calls", "own")
def test_offline_the_starter_listens() -> None:
    path = weights.find(STARTER)
    assert path is not None
    assert ear_of(listen()) == ear_of(listen(ear="starter")) == read_header(path).name


@pytest.mark.usefixtures("nobody_calls", "own")
def test_offline_a_named_ear_that_is_not_here_is_an_error() -> None:
    with pytest.raises(
        WeightsError, match=r"mn10_as_mAP_471\.pt: is not here, and --offline forbids a download"
    ):
        listen(ear="efficientat:mn10")


@pytest.mark.usefixtures("own")
def test_an_index_that_cannot_be_reached_is_said_once() -> None:
    said: list[str] = []
    tagger = listen(said.append, offline=False)
    assert ear_of(tagger) == ear_of(listen(ear="starter"))
    assert len(said) == 1
    assert "package index" in said[0]
    assert "the starter ear listens" in said[0]


def test_an_ear_that_is_damaged_makes_room_for_the_starter(own: Path) -> None:
    (own / weights.entry("efficientat.mn10").filename).write_bytes(b"cut short")
    said: list[str] = []
    assert ear_of(listen(said.append)) == ear_of(listen(ear="starter"))
    assert len(said) == 1
    assert "cannot be read as weights" in said[0]
    assert "the starter ear listens" in said[0]


def test_an_ear_brings_the_thresholds_of_its_calibration(
    own: Path, published: dict[str, bytes]
) -> None:
    for name in ("yamnet", "efficientat.mn10"):
        (own / weights.entry(name).filename).write_bytes(published[name])
        tagger = listen(ear=name)
        expected = calibration_of(part_names(name))
        assert tagger.parts.labels == expected.labels
        rows = tagger.parts.fusion.rows.ear  # type: ignore[attr-defined]
        np.testing.assert_array_equal(rows, expected.thresholds["f1"])
        seventeen = listen(ear=name, classes="dcase2017").parts.fusion
        assert len(seventeen.rows.ear) == 17  # type: ignore[attr-defined]
        assert set(seventeen.rows.ear) <= set(rows)  # type: ignore[attr-defined]


def test_the_users_own_fusion_wins(own: Path, published: dict[str, bytes], tmp_path: Path) -> None:
    """Classes that it does not name keep the ear's own thresholds."""
    (own / weights.entry("efficientat.mn10").filename).write_bytes(published["efficientat.mn10"])
    paper = read_fusion(Path(weights.__file__).parents[1] / "weights" / "fusion.paper.json", LABELS)
    write_fusion(paper.with_thresholds(ear=np.full(17, 0.123)), tmp_path / "mine.json")
    mine = str(tmp_path / "mine.json")
    assert (listen(fusion=mine, classes="dcase2017").parts.fusion.rows.ear == 0.123).all()  # type: ignore[attr-defined]
    tagger = listen(fusion=mine)
    named = np.isin(tagger.parts.labels, LABELS)
    rows = tagger.parts.fusion.rows.ear  # type: ignore[attr-defined]
    assert (rows[named] == 0.123).all()
    own_rows = calibration_of(part_names("efficientat.mn10+starter")).thresholds["f1"]
    assert set(rows[~named]) == set(own_rows)


@pytest.mark.usefixtures("own")
def test_a_run_brings_its_thresholds(tmp_path: Path) -> None:
    """In the order of the classes that are asked for, whatever the order it was trained in."""
    path = trained(tmp_path / "mine.safetensors", LABELS[::-1], tuple(np.linspace(0.1, 0.9, 17)))
    tagger = listen(ear=str(path))
    assert tagger.parts.labels == LABELS
    np.testing.assert_allclose(tagger.parts.fusion.rows.ear, np.linspace(0.9, 0.1, 17))  # type: ignore[attr-defined]


@pytest.mark.usefixtures("own")
def test_a_run_on_own_classes_is_asked_for_these(tmp_path: Path) -> None:
    """And the ear alone decides on them, since the eye has no more than their names; the paper's classes stay as they are."""
    labels = ("kettle", "Train", "Skateboards")  # the last is no slip of the pen
    path = trained(tmp_path / "mine.safetensors", labels, (0.2, 0.3, 0.4))
    tagger = listen(ear=str(path))
    assert tagger.parts.labels == labels
    fusion = tagger.parts.fusion
    assert isinstance(fusion, WeightedFusion)
    assert fusion.rows.ear.tolist() == [0.2, 0.3, 0.4]
    assert fusion.weights[[0, 2]].tolist() == [1, 1]
    assert fusion.rows.both[[0, 2]].tolist() == [0.2, 0.4]
    assert listen(ear=str(path), classes="Train;Siren").parts.labels == ("Train", "Siren")


@pytest.mark.usefixtures("own")
def test_a_paper_class_among_own_ones_keeps_its_weight(tmp_path: Path) -> None:
    path = trained(tmp_path / "mine.safetensors", ("kettle", "Train"), (0.2, 0.3))
    fusion = listen(ear=str(path)).parts.fusion
    paper = read_fusion(
        Path(weights.__file__).parents[1] / "weights" / "fusion.paper.json", ("Train",)
    )
    assert isinstance(fusion, WeightedFusion)
    assert isinstance(paper, WeightedFusion)
    assert fusion.weights.tolist() == [1, paper.weights[0]]
    assert fusion.rows.both.tolist() == [0.2, paper.rows.both[0]]


@pytest.mark.usefixtures("own")
def test_only_published_ears_embed(tmp_path: Path) -> None:
    path = trained(tmp_path / "mine.safetensors", ("kettle",))
    with pytest.raises(UsageError, match="gives no embeddings; known: efficientat"):
        load_embedder(str(path), "cpu")
