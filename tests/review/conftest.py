"""Results with media to review, a running server, and a browser."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from av_tagger.clip import Clip
from av_tagger.collection.sources import sources_of
from av_tagger.reports.schema import as_line
from av_tagger.review.answers import AnswerLog
from av_tagger.review.media_files import MediaFiles
from av_tagger.review.pictures import PictureReader
from av_tagger.review.routes import ReviewRoutes
from av_tagger.review.server import ReviewServer
from av_tagger.review.session import ReviewSession
from av_tagger.review.training import HeadTraining
from av_tagger.review.units import read_units
from av_tagger.scores import BranchInfo, ClassScore, Event, RunInfo, Status, Tag, Tagged
from tests.assets import make_audio
from tests.reports.conftest import each_browser
from tests.waiting import LIMIT

__all__ = ["each_browser"]


def tagged(path: Path, scores: dict[str, float], threshold: float = 0.5) -> Tagged:
    """Heard only; a class at or above its threshold has one event from 1 s to 2 s."""
    table = {label: ClassScore(p, p, None, threshold) for label, p in scores.items()}
    tags = tuple(
        Tag(label, p, threshold, p, None, (Event(1.0, 2.0, p),))
        for label, p in scores.items()
        if p >= threshold
    )
    return Tagged(
        Clip(path),
        4.0,
        tags,
        table,
        (),
        BranchInfo(Status.OK, "crnn"),
        BranchInfo(Status.OFF, "off"),
        RunInfo("0", "cpu", "", 0.0),
    )


def write_run(folder: Path, results: Sequence[Tagged]) -> Path:
    """results.jsonl, and a WAV file of four seconds for each result."""
    folder.mkdir(parents=True, exist_ok=True)
    for result in results:
        make_audio(result.clip.path, seconds=4.0)
    (folder / "results.jsonl").write_text("".join(as_line(r) + "\n" for r in results))
    return folder


def session_of(run: Path, folder: Path | None = None, **settings: Any) -> ReviewSession:
    sources = sources_of([str(run)])
    paths = [source.path for source in sources]
    log = AnswerLog.open(folder or run / "review")
    media = MediaFiles([run])
    return ReviewSession(read_units(sources), log, media, PictureReader(paths), **settings)


@dataclass(frozen=True)
class Served:
    """A server in a thread, and requests to it."""

    server: ReviewServer
    session: ReviewSession

    def ask(
        self, path: str, body: Any = None, headers: dict[str, str] | None = None, **more: str
    ) -> tuple[int, dict[str, str], bytes]:
        """`path` is below the token; code, headers and body of the answer."""
        return self.raw(f"/{self.server.token}/{path}", body, headers, **more)

    def raw(
        self,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        method: str | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=LIMIT)
        content = None if body is None else json.dumps(body)
        known = {} if body is None else {"Content-Type": "application/json"}
        verb = method or ("GET" if body is None else "POST")
        connection.request(verb, path, content, known | (headers or {}))
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, dict(answer.getheaders()), data

    def json(self, path: str, body: Any = None) -> Any:
        return json.loads(self.ask(path, body)[2])


def serve(session: ReviewSession) -> Iterator[Served]:
    routes = ReviewRoutes(session, HeadTraining(session.log.path.parent))
    server = ReviewServer(routes.table())
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield Served(server, session)
    server.stop()
    thread.join()
    session.log.close()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Six clips with two classes, one of them near its threshold in each."""
    results = [
        tagged(tmp_path / f"clip {i}.wav", {"Bus": 0.3 + 0.08 * i, "Train": 0.9 - 0.05 * i})
        for i in range(6)
    ]
    return write_run(tmp_path / "run", results)


@pytest.fixture
def served(run: Path) -> Iterator[Served]:
    yield from serve(session_of(run, classes=("Skateboard", "Train horn")))
