"""What each address of the server gives: the page, questions, media, pictures, and what follows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from av_tagger.errors import UsageError
from av_tagger.review.answers import ReviewAnswer
from av_tagger.review.media_files import may_be_served, sound_of, type_of
from av_tagger.review.new_fusion import write_suggested
from av_tagger.review.page import ICON, review_page
from av_tagger.review.replies import FileReply, Reply
from av_tagger.review.server import Asked, Routes
from av_tagger.review.session import ReviewSession
from av_tagger.review.thresholds import ThresholdAdvice, advise
from av_tagger.review.training import HeadTraining
from av_tagger.review.units import ReviewUnit

FUSION = "fusion.json"


@dataclass
class ReviewRoutes:
    """The session behind the addresses."""

    session: ReviewSession
    training: HeadTraining
    fusion: str = "auto"

    @property
    def folder(self) -> Path:
        return self.session.log.path.parent

    def table(self) -> Routes:
        get = {
            "": self._page,
            "icon": lambda _: Reply.of(ICON.encode(), "image/svg+xml"),
            "questions": self._questions,
            "media": self._media,
            "sound": self._sound,
            "spectrogram": self._spectrogram,
            "keyframe": self._keyframe,
            "thresholds": self._thresholds,
            "training": self._training,
        }
        post = {
            "answer": self._answer,
            "undo": self._undo,
            "fusion": self._fusion,
            "train": self._train,
        }
        return Routes(get, post)

    def _page(self, _: Asked) -> Reply:
        page = review_page(self.session.labels, self.session.reviewer)
        return Reply.of(page.encode(), "text/html; charset=utf-8")

    def _questions(self, _: Asked) -> Reply:
        return self._ahead()

    def _ahead(self, **more: Any) -> Reply:
        questions, progress = self.session.questions(), self.session.progress()
        return Reply.of_json({"questions": questions, "progress": progress} | more)

    def _unit(self, words: list[str]) -> ReviewUnit:
        unit = self.session.unit(words[0]) if words else None
        if unit is None:
            raise UsageError("there is no such question; load the page again")
        return unit

    def _file(self, words: list[str]) -> Path:
        """Only files that results name; checked again, as files can be replaced."""
        path = self.session.media.locate(self._unit(words))
        if path is None or not may_be_served(path):
            raise UsageError("the file is not where the results say; give its folder with --media")
        return path

    def _media(self, asked: Asked) -> Reply:
        path = self._file(asked.words)
        return FileReply(path=path, kind=type_of(path))

    def _sound(self, asked: Asked) -> Reply:
        unit, path = self._unit(asked.words), self._file(asked.words)
        part = unit.parts[int(asked.words[1])]
        return Reply.of(sound_of(path, part), "audio/wav")

    def _spectrogram(self, asked: Asked) -> Reply:
        return _picture(self.session.pictures.of(self._unit(asked.words)).spectrogram)

    def _keyframe(self, asked: Asked) -> Reply:
        frames = self.session.pictures.of(self._unit(asked.words)).keyframes
        number = int(asked.words[1])
        return _picture(frames[number].picture if 0 <= number < len(frames) else None)

    def _answer(self, asked: Asked) -> Reply:
        known = {name: asked.fields[name] for name in ("key", "part", "answer")}
        more = {name: asked.fields.get(name, "") for name in ("other", "reviewer")}
        self.session.answer(ReviewAnswer(**known, **more))
        return self._ahead()

    def _undo(self, _: Asked) -> Reply:
        return self._ahead(undone=self.session.undo())

    def _thresholds(self, _: Asked) -> Reply:
        return Reply.of_json({"classes": [as_json(a) for a in advise(self.session.state)]})

    def _fusion(self, _: Asked) -> Reply:
        target = self.folder / FUSION
        advice = advise(self.session.state)
        changed = write_suggested(self.session.found, advice, self.fusion, target)
        return Reply.of_json({"written": str(target), "classes": [a.label for a in changed]})

    def _train(self, _: Asked) -> Reply:
        self.session.write_tables()
        return Reply.of_json({"command": self.training.start(self.session.state)})

    def _training(self, _: Asked) -> Reply:
        return Reply.of_json(self.training.progress())


def as_json(advice: ThresholdAdvice) -> dict[str, Any]:
    """NaN is null."""
    values = vars(advice) | {"better": advice.better}
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in values.items()}


def _picture(content: bytes | None) -> Reply:
    if content is None:
        return Reply.of_text("there is no such picture", 404)
    kind = "image/png" if content.startswith(b"\x89PNG") else "image/jpeg"
    return Reply.of(content, kind)
