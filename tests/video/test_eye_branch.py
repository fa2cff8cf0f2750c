"""The eye branch: evidence, key frames, missing parts, and the contact sheet."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from av_tagger.clip import Frames
from av_tagger.errors import DeviceError, UsageError
from av_tagger.labels import ClassList, SoundClass, dcase2017
from av_tagger.protocols import DetailedBranch, EyeDetails, Representatives, VideoBranch
from av_tagger.scores import BranchInfo, KeyFrame, Status
from av_tagger.small_pictures import small_jpeg
from av_tagger.video.branch import PRECISIONS, EyeParts, EyeSettings, SparseEye
from av_tagger.video.eyes import load_eye
from av_tagger.video.features import Compute
from av_tagger.video.load import thumbnail
from av_tagger.video.sheet import draw_sheet, save_sheet

torch.set_num_threads(1)
CLASSES = ClassList((SoundClass("Bell"), SoundClass("Dog"), SoundClass("Rain")))
OBJECTS = ("gong, tam-tam", "poodle", "umbrella", "wall")
SETTINGS = EyeSettings(keep=2, assignment="hard")


class Ends:
    """Chooses the first and the last frame."""

    name = "ends"

    def __init__(self) -> None:
        self.calls: list[int] = []

    def select(self, features: Sequence[torch.Tensor], count: int) -> list[Representatives]:
        self.calls.append(len(features))
        rows = [np.unique([0, len(f) - 1])[:count] for f in features]
        return [Representatives(r, np.full(len(r), 1 / len(r)), 0.0, 0.0) for r in rows]


@dataclass
class ByRed:
    """Recognises by the red value of the first pixel."""

    known: dict[int, list[float]] = field(default_factory=dict)
    calls: list[int] = field(default_factory=list)
    objects: tuple[str, ...] = OBJECTS
    info: BranchInfo = field(default_factory=lambda: BranchInfo(Status.OK, "by red", "red.weights"))

    def recognise(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        self.calls.append(len(images))
        return np.array([self.known[int(image[0, 0, 0])] for image in images], dtype=np.float32)


class Near:
    name = "near"

    def similarity(self, objects: Sequence[str], sounds: Sequence[str]) -> NDArray[np.float32]:
        nan = np.nan
        return np.array(
            [[0.9, 0.1, 0.2], [0.0, 0.8, 0.1], [0.1, 0.0, 0.7], [nan, nan, nan]], dtype=np.float32
        )


def film(reds: Sequence[int], start: float = 0.0) -> Frames:
    images = np.zeros((len(reds), 40, 64, 3), dtype=np.uint8)
    images[..., 0] = np.array(reds)[:, None, None]
    return Frames(images, start + np.arange(len(reds)) / 4)


KNOWN = {10: [0.6, 0.3, 0.1, 0.0], 20: [0.1, 0.2, 0.0, 0.7]}


def eye(settings: EyeSettings = SETTINGS, **parts: object) -> SparseEye:
    whole = EyeParts(thumbnail(Compute()), Ends(), ByRed(KNOWN), Near())
    return SparseEye(replace(whole, **parts), CLASSES, settings)  # type: ignore[arg-type]


def test_by_hand() -> None:
    """Kept: (2/3, 1/3, 0, 0) and (0, 2/9, 0, 7/9); of their sum gong 2/3 and wall 7/9 are kept, and
    a wall sounds like nothing.
    """
    (seen,) = eye().see([film([10, 15, 20], start=3.0)])
    np.testing.assert_allclose(seen.probabilities, [6 / 13, 0, 0])
    assert seen.status is Status.OK
    (evidence,) = seen.evidence["Bell"]
    assert (evidence.seconds, evidence.object) == (3.0, "gong")
    assert (evidence.probability, evidence.similarity) == pytest.approx((2 / 3, 0.9))
    assert set(seen.evidence) == {"Bell"}
    first, last = seen.keyframes
    assert (first.seconds, last.seconds, first.weight) == (3.0, 3.5, 0.5)
    assert [name for name, _ in first.objects] == ["gong", "poodle"]
    assert dict(last.objects)["wall"] == pytest.approx(7 / 9)


def test_many_clips_are_one_flow_and_none_knows_of_another() -> None:
    clips = [film([10, 11, 20]), film([]), film([20]), film([10, 20])]
    whole = eye()
    together = whole.see(clips)
    assert whole.parts.selector.calls == [3]  # type: ignore[attr-defined]
    assert whole.parts.recogniser.calls == [5]  # type: ignore[union-attr]
    for clip, seen in zip(clips, together, strict=True):
        (alone,) = eye().see([clip])
        np.testing.assert_array_equal(seen.probabilities, alone.probabilities)
        assert (seen.keyframes, seen.evidence, seen.status) == (
            alone.keyframes,
            alone.evidence,
            alone.status,
        )
    assert together[1].status is Status.NO_TRACK
    assert eye().see([]) == []


def test_every_class_that_received_something_says_why() -> None:
    settings = EyeSettings(keep=4, assignment="soft", temperature=0.5)
    (seen,) = eye(settings).see([film([10, 20])])
    assert seen.probabilities.sum() < 1  # the wall gave nothing
    for label, probability in zip(seen.labels, seen.probabilities, strict=True):
        assert len(seen.evidence[label]) == 3, "gong, dog and train; the wall gave nothing"
        assert probability > 0


def test_evidence_by_hand() -> None:
    """Kept: (2/3, 1/3, 0, 0) and (0, 2/9, 0, 7/9); each class in its best key frame."""
    (seen,) = eye(EyeSettings(keep=2)).see([film([10, 15, 20], start=3.0)])
    np.testing.assert_allclose(seen.probabilities, [2 / 3 * 0.9, 1 / 3 * 0.8, np.nan], rtol=1e-6)
    assert set(seen.evidence) == {"Bell", "Dog"}
    (evidence,) = seen.evidence["Dog"]
    assert (evidence.seconds, evidence.object) == (3.0, "poodle")
    assert (evidence.probability, evidence.similarity) == pytest.approx((1 / 3, 0.8))


def test_an_object_has_one_probability_wherever_it_is_shown() -> None:
    """In the evidence of every class as in the key frame of that time."""
    for settings in (EyeSettings(keep=3), EyeSettings(keep=3, assignment="soft", temperature=0.5)):
        (seen,) = eye(settings).see([film([10, 15, 20], start=3.0)])
        frames = {frame.seconds: dict(frame.objects) for frame in seen.keyframes}
        reasons = [e for found in seen.evidence.values() for e in found]
        assert reasons
        assert all(e.probability == frames[e.seconds][e.object] for e in reasons)


def test_nothing_seen_is_no_opinion() -> None:
    (seen,) = eye(EyeSettings(keep=1)).see([film([20])])  # a wall
    assert np.isnan(seen.probabilities).all()
    assert seen.status is Status.OK
    assert not seen.has_opinion


def test_the_paper_preset_says_no_where_nothing_is_seen() -> None:
    paper = EyeSettings(keep=1).as_in_the_paper()
    assert (paper.word_rule, paper.sharing.how) == ("paper", "hard")
    (seen,) = eye(paper).see([film([20])])
    np.testing.assert_array_equal(seen.probabilities, [0, 0, 0])
    chosen = EyeSettings(rule="ours", assignment="soft").as_in_the_paper()
    assert (chosen.word_rule, chosen.sharing.how) == ("ours", "soft")


def test_a_floor_refuses_objects() -> None:
    (seen,) = eye(EyeSettings(keep=4, floor=0.85, assignment="hard")).see([film([10])])
    np.testing.assert_allclose(seen.probabilities, [0.6, 0, 0], rtol=1e-6)


def test_without_a_recogniser_people_still_see_what_happened() -> None:
    blind = eye(recogniser=None, words=None, degraded=True)
    (seen,) = blind.see([film([10, 20])])
    assert seen.status is Status.NO_WEIGHTS
    assert np.isnan(seen.probabilities).all()
    assert len(seen.keyframes) == 2
    assert all(frame.picture and not frame.objects for frame in seen.keyframes)


def test_without_words_objects_are_named_but_no_class_is() -> None:
    (seen,) = eye(words=None).see([film([10])])
    assert seen.status is Status.NO_WEIGHTS
    assert not seen.has_opinion
    assert seen.keyframes[0].objects[0][0] == "gong"


def test_details_are_left_out_where_they_are_not_wanted() -> None:
    whole: DetailedBranch = eye()
    films = [film([10] * 8 + [20] * 8)]
    everything, nothing = (
        whole.reporting(EyeDetails(one, one, one)).see(films)[0] for one in (True, False)
    )
    assert (everything.cuts, nothing.cuts) == ((2.0,), ())
    assert all(frame.objects and frame.picture for frame in everything.keyframes)
    assert not any(frame.objects or frame.picture for frame in nothing.keyframes)
    assert [f.seconds for f in nothing.keyframes] == [f.seconds for f in everything.keyframes]
    np.testing.assert_array_equal(nothing.probabilities, everything.probabilities)
    assert nothing.evidence == everything.evidence


def test_thumbnail_features_are_said_to_be_a_makeshift() -> None:
    seen = eye(degraded=True).see([film([10])])[0]
    assert seen.status is Status.DEGRADED
    assert seen.has_opinion
    assert "by red" in eye().info.model
    assert isinstance(eye(), VideoBranch)


@pytest.mark.parametrize("size", [(720, 1280), (1280, 720), (20, 30), (1, 1)])
def test_kept_pictures_are_small(size: tuple[int, int]) -> None:
    picture = Image.open(io.BytesIO(small_jpeg(np.full((*size, 3), 90, dtype=np.uint8))))
    assert picture.format == "JPEG"
    assert max(picture.size) == min(320, max(size))
    assert eye(EyeSettings(pictures=False)).see([film([10])])[0].keyframes[0].picture is None


def test_the_eye_says_in_which_numbers_it_reckons() -> None:
    for asked in PRECISIONS:
        bare = load_eye(
            EyeSettings(network="thumbnail", recogniser="inception_v4", precision=asked),
            dcase2017(),
        )
        assert bare.arithmetic == "frame features in float32"
    assert Compute(dtype=torch.bfloat16).arithmetic == "bfloat16"
    assert Compute(dtype=torch.bfloat16, int8=True).arithmetic == "int8"


def test_settings_that_cannot_be_meant() -> None:
    for wrong in ({"keyframes": 0}, {"batch": -1}, {"keep": 0}, {"frame_rate": 0.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            EyeSettings(**wrong)  # type: ignore[arg-type]


def test_a_machine_without_weights_has_an_eye() -> None:
    absent = EyeSettings(network="alexnet", recogniser="inception_v4")
    bare = load_eye(absent, dcase2017())
    assert bare.info.status is Status.NO_WEIGHTS
    assert any("alexnet" in line and "av-tag weights fetch alexnet" in line for line in bare.advice)
    assert any("inception_v4" in line for line in bare.advice)
    (seen,) = bare.see([film([10, 10, 20, 20, 30, 30])])
    assert [frame.seconds for frame in seen.keyframes] == [0.0, 0.5, 1.0]
    assert sum(frame.weight for frame in seen.keyframes) == pytest.approx(1)


def test_loading_names_what_is_wrong() -> None:
    with pytest.raises(UsageError, match="sparse"):
        load_eye(EyeSettings(selector="sparce"), dcase2017())
    with pytest.raises(DeviceError, match="give auto"):
        load_eye(EyeSettings(), dcase2017(), "toaster")


def test_a_sheet_shows_every_key_frame(tmp_path: Path) -> None:
    green = small_jpeg(np.full((90, 160, 3), (0, 200, 0), dtype=np.uint8))
    frames = [KeyFrame(1.0, 0.5, (("gong", 0.7),), green), KeyFrame(2.0, 0.5)]
    save_sheet(tmp_path / "sheet.png", "a clip – ü", frames)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB")).astype(int)
    is_green = (abs(sheet - (0, 200, 0)).max(axis=2) < 40).sum()
    assert is_green == pytest.approx(160 * 90, rel=0.05)
    assert draw_sheet("a", frames * 2).width > 1.9 * sheet.shape[1]
    assert draw_sheet("none", []).width > 320
