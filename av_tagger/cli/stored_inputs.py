"""Inputs that are results already (JSON lines, a run's folder) or media to tag now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from av_tagger.errors import UsageError

if TYPE_CHECKING:
    from av_tagger.cli.options import ModelOptions, TalkOptions
    from av_tagger.scores import Outcome, Tagged

INPUTS = "Results (JSON lines or a run's folder), or files to tag now."
RESULT_SUFFIXES = (".jsonl", ".ndjson")
RESULTS_FILE = "results.jsonl"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a command works on: its words, where results are stored, and the flags for tagging."""

    inputs: Sequence[str]
    models: ModelOptions
    talk: TalkOptions
    results: Path | None = None


def is_results(word: str) -> bool:
    path = Path(word)
    return path.suffix.lower() in RESULT_SUFFIXES or (path / RESULTS_FILE).is_file()


@contextmanager
def outcomes_of(request: Request) -> Iterator[list[Outcome]]:
    """The outcomes in the order of the words; copies of addresses exist within the block.

    Media with a stored result in `results` are not tagged again; without any media to tag, no
    network is loaded.
    """
    from av_tagger.reports.schema import find_results, read_outcomes

    words = list(request.inputs)
    if not words:
        raise UsageError("name at least one file of results or one video")
    stored = [word for word in words if is_results(word)]
    found = [o for word in stored for o in read_outcomes(find_results(Path(word)))]
    media = [word for word in words if word not in stored]
    if request.results is not None:
        found += list(_stored(media, request.results))
        media = []
    if not media:
        yield found
        return
    with _tagged(media, request) as tagged:
        yield [*found, *tagged]


@contextmanager
def _tagged(media: Sequence[str], request: Request) -> Iterator[list[Outcome]]:
    from av_tagger.cli.inputs import at_hand, gather
    from av_tagger.cli.session import build_tagger, plan_of
    from av_tagger.cli.tag import tag_jobs

    jobs = gather(media)
    if jobs.all_failed:
        yield list(jobs.failures)
        return
    plan = plan_of(request.models, request.talk)
    with at_hand(jobs, offline=plan.config.offline, quiet=request.talk.quiet) as ready:
        tagger = build_tagger(plan, request.talk)
        yield list(tag_jobs(ready, tagger, quiet=request.talk.quiet))


def _stored(media: Sequence[str], results: Path) -> Iterator[Outcome]:
    """The result of each file: by its path, else by its name if that is one file's alone."""
    from av_tagger.reports.schema import find_results, read_outcomes

    outcomes = list(read_outcomes(find_results(results)))
    for word in media:
        path = Path(word)
        same = [
            o for o in outcomes if o.clip.name == word or _resolved(o.clip.path) == _resolved(path)
        ]
        same = same or [o for o in outcomes if o.clip.path.name == path.name]
        if not same or len({o.clip.path for o in same}) > 1:
            reason = "is not in" if not same else "could be several files of"
            raise UsageError(f"{word}: {reason} {results}; leave out --results to tag it now")
        yield same[-1]


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return path


def tagged_only(outcomes: Sequence[Outcome], talk: TalkOptions) -> list[Tagged]:
    """The results; failures are printed to stderr."""
    from av_tagger.cli.session import say
    from av_tagger.scores import Failed, Tagged

    for failure in (o for o in outcomes if isinstance(o, Failed)):
        say(failure.message, talk)
    return [o for o in outcomes if isinstance(o, Tagged)]
