"""From the words of a command to clips: files, folders, globs, playlists, addresses, `-`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from av_tagger.clip import Clip, is_address
from av_tagger.errors import AvTaggerError, UsageError
from av_tagger.scores import Failed, Outcome

if TYPE_CHECKING:
    from av_tagger.tagger import Tagger, Watch

STDIN = "-"
MOST_OPENED = 4  # files that are opened before networks are loaded
Item = Clip | Failed


@dataclass(frozen=True)
class Jobs:
    """The clips to tag in the order of the inputs; inputs that were not found are `Failed`."""

    items: tuple[Item, ...]
    skipped: tuple[Path, ...] = ()  # files of folders that are not media

    def __len__(self) -> int:
        return len(self.items)

    @property
    def first(self) -> Clip | None:
        """The first clip that can be tagged."""
        return next((item for item in self.items if isinstance(item, Clip)), None)

    @property
    def failures(self) -> tuple[Failed, ...]:
        return tuple(item for item in self.items if isinstance(item, Failed))

    @property
    def all_failed(self) -> bool:
        return len(self.failures) == len(self.items)

    def outcomes(self, tagger: Tagger, watch: Watch | None = None) -> Iterator[Outcome]:
        for item in self.items:
            yield item if isinstance(item, Failed) else next(tagger.stream([item], watch))


def gather(inputs: Sequence[str]) -> Jobs:
    """Files, folders, globs, playlists and addresses to clips; what is not found is `Failed`.

    Nothing is downloaded and standard input is not read: see `at_hand`.
    """
    if not inputs:
        raise UsageError("name at least one file, folder or glob, as in: av-tag video.mp4")
    items: dict[str, Item] = {}
    skipped: list[Path] = []
    for word in inputs:
        try:
            items.update((item.name, item) for item in _clips(word, skipped))
        except AvTaggerError as error:
            items[word] = Failed(Clip.of(word), error.kind, str(error))
    checked = (_checked(item) if isinstance(item, Clip) else item for item in items.values())
    return Jobs(tuple(checked), tuple(skipped))


@contextmanager
def at_hand(jobs: Jobs, *, offline: bool = False, quiet: bool = False) -> Iterator[Jobs]:
    """The same jobs with a file for each address and for `-`; copies are deleted at the end."""
    if not any(isinstance(item, Clip) and item.source for item in jobs.items):
        yield jobs
        return
    with tempfile.TemporaryDirectory(prefix="av-tag-") as folder:
        fetch = _Fetch(Path(folder), offline, quiet)
        yield replace(jobs, items=tuple(map(fetch, jobs.items)))


@dataclass
class _Fetch:
    """Copies what is no file yet, each into a folder of its own."""

    folder: Path
    offline: bool
    quiet: bool
    count: int = 0

    def __call__(self, item: Item) -> Item:
        if isinstance(item, Failed) or not item.source:
            return item
        self.count += 1
        place = self.folder / str(self.count)
        place.mkdir()
        try:
            return self._copy(item.source, place)
        except AvTaggerError as error:
            return Failed(item, error.kind, str(error))

    def _copy(self, source: str, place: Path) -> Clip:
        from av_tagger.cli.progress import BYTES, progress_bar
        from av_tagger.media.remote import fetched, saved

        if source == STDIN:
            return saved(sys.stdin.buffer, place)
        with progress_bar("downloading", BYTES, quiet=self.quiet, log=True) as bar:
            return fetched(source, place, offline=self.offline, progress=bar)


def _clips(word: str, skipped: list[Path]) -> Iterator[Clip]:
    from av_tagger.media.find import find_media
    from av_tagger.media.playlists import is_playlist, read_playlist

    if word == STDIN:
        if sys.stdin.isatty():
            raise UsageError("- reads a film from standard input: cat film.mp4 | av-tag -")
        yield Clip(Path("stdin"), source=STDIN)
    elif is_address(word):
        yield Clip.of(word)
    elif is_playlist(Path(word)):
        yield from (Clip.of(entry) for entry in read_playlist(Path(word)))
    else:
        yield from map(Clip, find_media([word], skipped))


def _checked(clip: Clip) -> Item:
    """`Failed` for a missing, empty or special file, or a text: no network is loaded to say so."""
    from av_tagger.media.paths import check_path, refuse_text

    try:
        if not clip.source:
            check_path(clip.path)
            refuse_text(clip.path)
    except AvTaggerError as error:
        return Failed(clip, error.kind, str(error))
    return clip


def without_unreadable(jobs: Jobs, decoder: str) -> Jobs:
    """Opens a few files before networks are loaded: what cannot be read is `Failed` at once."""
    from av_tagger.errors import MediaError, TimedOut
    from av_tagger.media import probe

    def opened(item: Item) -> Item:
        if isinstance(item, Failed) or item.source:
            return item
        try:
            probe(item.path, backend=decoder)
        except TimedOut:
            return item  # a slow disk: tagging has a longer limit
        except MediaError as error:
            return Failed(item, error.kind, str(error))
        return item

    if len(jobs) > MOST_OPENED:
        return jobs
    return replace(jobs, items=tuple(map(opened, jobs.items)))


Say = Callable[[str], None]


def say_skipped(jobs: Jobs, say: Say) -> None:
    """One line about files that were left out of folders."""
    from av_tagger.media.find import in_words

    if jobs.skipped:
        say(in_words(jobs.skipped))
