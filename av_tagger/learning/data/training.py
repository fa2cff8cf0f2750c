"""The data of a run: training and validation bags, background clips, teacher targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from av_tagger.errors import UsageError
from av_tagger.learning.data.bags import Bags, WaveformBags
from av_tagger.learning.data.balance import missing_classes
from av_tagger.learning.data.teacher import TeacherTargets

UNTUNED = 0.5


@dataclass(frozen=True)
class TrainingData:
    """What a run is trained and validated on."""

    training: Bags
    validation: Bags
    background: WaveformBags | None = None  # clips without any class, to be mixed in
    ids: tuple[str, ...] = ()  # of the classes, for the header of the weights
    origin: str = ""  # the command, for the card
    notes: tuple[str, ...] = ()  # further warnings
    embedder: str = ""  # the ear that computed the embeddings
    teacher: TeacherTargets | None = None  # scores of the training clips

    def __post_init__(self) -> None:
        if self.training.labels != self.validation.labels:
            raise UsageError(
                "training and validation data have different classes; read both with one class list"
            )
        if len(self.training) == 0:
            raise UsageError("the training data have no usable clip; add clips")
        if len(self.validation) == 0:
            raise UsageError("the validation data have no usable clip; add clips")
        if not (self.training.targets > 0).any():  # False for unknown labels
            raise UsageError("no training clip has any of the classes; check the class list")
        if self.teacher is not None and len(self.teacher.scores) != len(self.training):
            raise ValueError("the teacher scores every training clip")

    @cached_property
    def unlearnt(self) -> tuple[str, ...]:
        """Classes without a training clip."""
        return missing_classes(self.training.targets, self.training.labels)

    @cached_property
    def unmeasured(self) -> tuple[str, ...]:
        """Classes with training clips but without a validation clip to tune a threshold on."""
        missing = missing_classes(self.validation.targets, self.validation.labels)
        return tuple(label for label in missing if label not in self.unlearnt)

    def tuned(self, thresholds: Sequence[float]) -> tuple[float, ...]:
        """Tuned thresholds; 0.5 where a class has training clips but no validation clip."""
        pairs = zip(self.training.labels, thresholds, strict=True)
        return tuple(UNTUNED if label in self.unmeasured else t for label, t in pairs)

    @property
    def warnings(self) -> list[str]:
        unlearnt = "has no training clip: it cannot be learnt and will not be tagged"
        unmeasured = "has no validation clip: its threshold cannot be tuned and stays 0.5"
        texts = [f"class {label!r} {unlearnt}" for label in self.unlearnt]
        texts += [f"class {label!r} {unmeasured}" for label in self.unmeasured]
        return [*texts, *self.notes]

    @property
    def identity(self) -> dict[str, str]:
        """Checksums that must not change when a run is resumed."""
        found = {"training data": self.training.sha256, "validation data": self.validation.sha256}
        return found | ({"teacher scores": self.teacher.sha256} if self.teacher else {})
