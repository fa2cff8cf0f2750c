"""Plans: ear, eye, thresholds, classes, advice, fingerprints, what is refused and when."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from av_tagger import download, weights
from av_tagger.audio.architecture import EarArchitecture
from av_tagger.audio.checkpoint import save_checkpoint
from av_tagger.audio.combination import calibration_of, part_names
from av_tagger.audio.ears import PUBLISHED
from av_tagger.audio.header import EarThresholds, Header, read_header
from av_tagger.audio.known.efficientat import EfficientAT
from av_tagger.audio.known.yamnet import YAMNet
from av_tagger.audio.network import build_network
from av_tagger.config import configure
from av_tagger.embedder import embedder_name, load_embedder
from av_tagger.errors import AvTaggerError, UsageError, WeightsError
from av_tagger.fusion import LogitFusion, load_fusion, read_fusion, write_fusion
from av_tagger.labels import dcase2017
from av_tagger.plan import STARTER_KNOWS, Plan, load, make_plan
from av_tagger.protocols import EyeDetails
from av_tagger.tagger import OFF, Tagger
from av_tagger.video.branch import SparseEye
from tests import ROOT
from tests.assets import make_video

LABELS = dcase2017().labels
STARTER = "crnn.starter.safetensors"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Contents of weights files: EfficientATs a tenth as wide, and a YAMNet."""
    folder = tmp_path_factory.mktemp("published")
    torch.manual_seed(0)
    torch.save(EfficientAT(0.1).state_dict(), folder / "mn.pt")
    save_file(YAMNet().state_dict(), folder / "yamnet.safetensors")
    narrow, yamnet = (folder / "mn.pt").read_bytes(), (folder / "yamnet.safetensors").read_bytes()
    return {name: yamnet if name == "yamnet" else narrow for name in PUBLISHED}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own folder of weights, with a starter ear where none was shipped."""
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
def no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.mark.usefixtures("no_connection")
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


@pytest.mark.usefixtures("no_connection")
def test_an_ear_answers_for_all_it_knows(own: Path, published: dict[str, bytes]) -> None:
    said: list[str] = []
    starter = listen(said.append)
    assert (starter.parts.labels, starter.parts.fold, said) == (LABELS, False, [STARTER_KNOWS])
    assert listen(said.append, classes="dcase2017").parts.labels == LABELS
    assert said == [STARTER_KNOWS]  # not said where these classes are asked for
    (own / weights.entry("yamnet").filename).write_bytes(published["yamnet"])
    both = listen()
    assert len(both.parts.labels) == 521
    assert both.parts.fold
    assert set(LABELS) <= set(both.parts.labels)
    seventeen = listen(classes="dcase2017")
    assert (seventeen.parts.labels, seventeen.parts.fold) == (LABELS, False)
    assert not listen(classes="Dog;Bark").parts.fold


@pytest.mark.usefixtures("no_connection", "own")
def test_offline_the_starter_listens() -> None:
    path = weights.find(STARTER)
    assert path is not None
    assert ear_of(listen()) == ear_of(listen(ear="starter")) == read_header(path).name


@pytest.mark.usefixtures("no_connection", "own")
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
    assert [line for line in said if "package index" in line] == said[:1]
    assert said[1:] == [STARTER_KNOWS]


def test_a_damaged_ear_is_replaced_by_the_starter(own: Path) -> None:
    (own / weights.entry("efficientat.mn10").filename).write_bytes(b"cut short")
    said: list[str] = []
    assert ear_of(listen(said.append)) == ear_of(listen(ear="starter"))
    assert "mn10_as_mAP_471.pt: is damaged or incomplete" in said[0]
    assert "the starter ear is used instead" in said[0]
    assert said[1:] == [STARTER_KNOWS]


def test_an_ear_brings_the_thresholds_of_its_calibration(
    own: Path, published: dict[str, bytes]
) -> None:
    """For every class that no fusion file of this ear names."""
    for name in ("yamnet", "efficientat.mn10"):
        (own / weights.entry(name).filename).write_bytes(published[name])
        tagger = listen(ear=name)
        expected = calibration_of(part_names(name))
        assert tagger.parts.labels == expected.labels
        rows = tagger.parts.fusion.rows.ear  # type: ignore[attr-defined]
        other = ~np.isin(expected.labels, LABELS)
        np.testing.assert_allclose(rows[other], expected.thresholds["f1"][other])
        assert len(listen(ear=name, classes="dcase2017").parts.fusion.rows.ear) == 17  # type: ignore[attr-defined]


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
def test_a_trained_ear_has_its_own_thresholds(tmp_path: Path) -> None:
    """In the order of the classes that are asked for, whatever the order it was trained in."""
    path = trained(tmp_path / "mine.safetensors", LABELS[::-1], tuple(np.linspace(0.1, 0.9, 17)))
    tagger = listen(ear=str(path))
    assert tagger.parts.labels == LABELS
    np.testing.assert_allclose(tagger.parts.fusion.rows.ear, np.linspace(0.9, 0.1, 17))  # type: ignore[attr-defined]


@pytest.mark.usefixtures("own")
def test_a_trained_ear_answers_for_its_own_classes(tmp_path: Path) -> None:
    """The ear alone decides on them: the eye knows only their names."""
    labels = ("kettle", "Train", "Skateboards")  # the last is no slip of the pen
    path = trained(tmp_path / "mine.safetensors", labels, (0.2, 0.3, 0.4))
    tagger = listen(ear=str(path))
    assert tagger.parts.labels == labels
    fusion = tagger.parts.fusion
    assert isinstance(fusion, LogitFusion)
    assert fusion.rows.ear.tolist() == [0.2, 0.3, 0.4]
    assert fusion.gain[[0, 2]].tolist() == [0, 0]
    assert fusion.rows.both[[0, 2]].tolist() == [0.2, 0.4]
    assert listen(ear=str(path), classes="Train;Siren").parts.labels == ("Train", "Siren")


@pytest.mark.usefixtures("own")
def test_a_known_class_among_own_ones_keeps_its_gain(tmp_path: Path) -> None:
    path = trained(tmp_path / "mine.safetensors", ("kettle", "Train"), (0.2, 0.3))
    fusion = listen(ear=str(path)).parts.fusion
    shipped = load_fusion("logit", ("Train",))
    assert isinstance(fusion, LogitFusion)
    assert isinstance(shipped, LogitFusion)
    assert fusion.gain.tolist() == [0, shipped.gain[0]]
    assert fusion.rows.both.tolist() == [0.2, 0.3]


# ---- the plan as data


def planned(**settings: object) -> Plan:
    return make_plan(configure(flags={"offline": True, "device": "cpu", **settings}))


@pytest.mark.usefixtures("own")
def test_a_plan_travels_and_stays_the_same() -> None:
    plan = planned()
    again = pickle.loads(pickle.dumps(plan))
    assert again.fingerprint == plan.fingerprint
    assert again.branches == plan.branches
    assert len(pickle.dumps(plan)) < 100_000, "a plan holds no network"


@pytest.mark.usefixtures("own")
def test_the_tagger_is_what_the_plan_says() -> None:
    plan = planned()
    tagger = plan.build()
    assert tagger.branches == plan.branches
    assert tagger.parts.run.fingerprint == plan.fingerprint
    assert tagger.parts.labels == plan.classes.labels
    assert tagger.parts.request.audio_rate == tagger.parts.ear.rate  # type: ignore[union-attr]


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(("only", "off"), [("ear", 1), ("eye", 0)])
def test_a_branch_that_is_off(only: str, off: int) -> None:
    plan = planned(only=only)
    assert plan.branches[off] == OFF
    request = plan.build().parts.request
    assert (request.audio_rate is None, request.short_side is None) == (off == 0, off == 1)


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    "change",
    [
        {"threshold": 0.5},
        {"classes": "Train;Bus"},
        {"only": "ear"},
        {"fusion": "even"},
        {"fast": True},
        {"backend": "decord"},
        {"eye": {"keyframes": 3}},
        {"events": {"high": 0.6}},
        {"media": {"window_seconds": 5.0}},
        {"hearing": {"precision": "bfloat16"}},
    ],
    ids=str,
)
def test_the_fingerprint_changes_with_what_changes_scores(change: dict[str, object]) -> None:
    assert planned(**change).fingerprint != planned().fingerprint


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    "change",
    [
        {"device": "cuda:3"},
        {"offline": False, "ear": "starter"},
        {"ear": "crnn.starter"},
        {"media": {"limit_seconds": 5.0}},
        {"eye": {"pictures": False}},
        {"classes": ";".join(dcase2017().labels)},
    ],
    ids=str,
)
def test_the_fingerprint_stays_with_what_changes_nothing(change: dict[str, object]) -> None:
    assert planned(**change).fingerprint == planned().fingerprint


def test_the_fingerprint_is_of_the_contents_of_files(
    own: Path, published: dict[str, bytes]
) -> None:
    file = own / weights.entry("efficientat.mn04").filename
    file.write_bytes(published["efficientat.mn04"])
    before = planned(ear=str(file)).fingerprint
    file.rename(own / "copy.pt")
    assert planned(ear=str(own / "copy.pt")).fingerprint == before
    torch.save(EfficientAT(0.2).state_dict(), own / "copy.pt")
    assert planned(ear=str(own / "copy.pt")).fingerprint != before


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"device": "toaster"}, "there is no device 'toaster'"),
        ({"backend": "vlc"}, "there is no decoder 'vlc'"),
        ({"classes": "Trane"}, "there is no sound class 'Trane'"),
        ({"ear": "startr"}, "there is no ear 'startr'; did you mean 'starter'"),
        ({"ear": "none.safetensors"}, "none.safetensors: there is no such weights file"),
        ({"fusion": "evn"}, "there is no fusion 'evn'"),
        ({"fusion": "none.json"}, "none.json"),
        ({"eye": {"network": "alexnett"}}, "did you mean 'alexnet'"),
        ({"eye": {"layer": "conv6"}}, "there is no layer 'conv6'"),
        ({"eye": {"selector": "sparce"}}, "did you mean 'sparse'"),
        ({"eye": {"recogniser": "keras:vgg"}}, "there is no library 'keras'"),
        ({"eye": {"network_weights": "none.pth"}}, "none.pth: there is no such weights file"),
        ({"eye": {"precision": "fp8"}}, "there is no precision 'fp8'"),
    ],
    ids=str,
)
@pytest.mark.usefixtures("own")
def test_what_is_wrong_is_said_before_anything_is_loaded(
    wrong: dict[str, object], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.load", None)
    monkeypatch.setattr("safetensors.torch.load_file", None)
    with pytest.raises(AvTaggerError, match=re.escape(message)):
        planned(**wrong)


ALONE = """
import sys
from av_tagger.cli.main import run

if __name__ == "__main__":
    code = run(sys.argv[1:])
    heavy = sorted({"torch", "timm", "torchvision"} & set(sys.modules))
    print("ended with", code, "after importing", heavy)
"""


def driver(tmp_path: Path, *words: str) -> str:
    """The last line of a process that runs a command."""
    (tmp_path / "driver.py").write_text(ALONE)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "driver.py"), *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout.splitlines()[-1] if done.stdout else done.stderr


@pytest.mark.skipif(weights.locate("crnn.starter") is None, reason="no starter in this checkout")
def test_a_driver_loads_no_network(tmp_path: Path) -> None:
    """The workers receive the plan; the process that hands out the clips never imports torch.

    The same of Ray is tested with the results of its runs, in test_batch.py.
    """
    (tmp_path / "clips").mkdir()
    for name in ("a", "b"):
        make_video(tmp_path / "clips" / f"{name}.mp4", seconds=0.5)
    words = ["batch", str(tmp_path / "clips"), "-o", str(tmp_path / "run"), "--ear", "starter"]
    last = driver(tmp_path, *words, "--offline", "--only", "ear", "--processes", "2")
    assert last == "ended with 0 after importing []"
    assert len((tmp_path / "run" / "results.jsonl").read_text().splitlines()) == 2


def test_a_refusal_needs_no_torch(tmp_path: Path) -> None:
    words = ["batch", str(tmp_path), "-o", str(tmp_path / "run"), "--processes", "2"]
    make_video(tmp_path / "a.mp4", seconds=0.2)
    last = driver(tmp_path, *words, "--ear", "startr", "--offline")
    assert last == "ended with 2 after importing []"


# ---- embeddings


@pytest.mark.usefixtures("own")
def test_runs_on_sound_embed_and_joined_ears_do_not(tmp_path: Path) -> None:
    path = trained(tmp_path / "mine.safetensors", ("kettle",))
    assert load_embedder(str(path), "cpu").width == 8  # 2 x 4 units
    with pytest.raises(UsageError, match="gives no embeddings; known: efficientat"):
        load_embedder("starter+yamnet", "cpu")


def test_an_ear_without_classes_is_refused_with_what_it_is_for() -> None:
    with pytest.raises(UsageError, match="vggish computes embeddings and knows no classes; train"):
        make_plan(configure(flags={"ear": "vggish"}))


def test_a_fusion_file_of_another_ear_is_a_warning(own: Path, tmp_path: Path) -> None:
    target = tmp_path / "f.json"
    settings = {"ear": "starter", "only": "ear", "fusion": str(target), "device": "cpu"}
    write_fusion(replace(load_fusion("even", LABELS), fitted_ear="crnn (mine)"), target)
    plan = make_plan(configure(None, settings))
    (line,) = (line for line in plan.advice if "fitted" in line)
    assert line.startswith(f"{target}: was fitted to results of the ear crnn (mine), and this is ")
    same = replace(plan.fusion, fitted_ear=plan.branches[0].name, fitted_eye="another eye")
    write_fusion(same, target)
    assert not any("fitted" in line for line in make_plan(configure(None, settings)).advice)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"only": "ear", "classes": "Drone"}, "the ear starter knows none of them, and the eye is"),
        ({"only": "eye", "eye": {"recogniser": "inception_v4"}}, "its weights are not here"),
        ({"ear": "starter", "classes": "Silence"}, "nothing that can be seen stands for them"),
        ({"ear": "starter", "classes": "Foo"}, "nothing that can be seen stands for them"),
    ],
)
def test_classes_that_nothing_can_score_are_refused(
    flags: dict[str, object], sentence: str
) -> None:
    with pytest.raises(UsageError) as caught:
        make_plan(configure(None, {"ear": "starter", "offline": True, **flags}))
    assert "no class can be scored (" in str(caught.value)
    assert sentence in str(caught.value)


def test_what_only_the_eye_or_nothing_knows_is_said() -> None:
    settings = {"ear": "starter", "offline": True, "classes": "Train;Tractor;Drone;Silence"}
    plan = make_plan(configure(None, settings))
    assert plan.unscored == ("Drone", "Silence"), "no object of the recogniser is a drone"
    assert "no ear here knows Tractor: the eye alone decides" in plan.advice
    assert any(line.startswith("Drone, Silence: no score, ") for line in plan.advice)


def test_the_best_efficientat_that_is_here(own: Path, published: dict[str, bytes]) -> None:
    from av_tagger.audio.combination import full_name

    assert full_name("efficientat") == "efficientat.mn10"
    for name in ("efficientat.mn04", "efficientat.mn20"):
        (own / weights.entry(name).filename).write_bytes(published[name])
        assert full_name("efficientat") == name


@pytest.mark.parametrize("by", ["event", "shot"])
def test_the_eye_finds_cuts_for_shots_alone(by: str) -> None:
    eye = (
        make_plan(configure(None, {"ear": "starter", "offline": True, "by": by})).build().parts.eye
    )
    assert isinstance(eye, SparseEye)
    assert eye.details == EyeDetails(cuts=by == "shot")


def test_times_by_shot_have_their_own_fingerprint() -> None:
    event, shot = (
        make_plan(configure(None, {"ear": "starter", "offline": True, "by": by}))
        for by in ("event", "shot")
    )
    assert event.fingerprint != shot.fingerprint
    assert "by" not in event.config.numbers()
