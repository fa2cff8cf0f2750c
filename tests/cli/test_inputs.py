"""Words of a command to clips: playlists, addresses, standard input, files that are not there."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from av_tagger import media
from av_tagger.cli import session
from av_tagger.cli.inputs import (
    MOST_OPENED,
    Jobs,
    at_hand,
    gather,
    say_skipped,
    without_unreadable,
)
from av_tagger.clip import Clip
from av_tagger.errors import MediaError, TimedOut, UsageError
from av_tagger.scores import Failed
from av_tagger.tagger import Tagger
from tests.assets import make_audio
from tests.cli.conftest import AvTag


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """The address of a server of the folder, on this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class Stdin:
    """Standard input with these bytes; a terminal without."""

    def __init__(self, data: bytes | None) -> None:
        self.buffer = io.BytesIO(data or b"")
        self.terminal = data is None

    def isatty(self) -> bool:
        return self.terminal


class Echo:
    """A tagger that returns the clips."""

    def __init__(self) -> None:
        self.seen: list[Clip] = []

    def stream(self, clips: list[Clip], watch: object = None) -> object:
        self.seen += clips
        yield from clips


def test_a_text_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "wrong.mp4").write_text("this is not a film\n")
    (failed,) = gather([str(tmp_path / "wrong.mp4")]).failures
    assert "is text, not media" in failed.message


def test_a_few_files_are_opened_before_networks_are_loaded(tmp_path: Path) -> None:
    make_audio(tmp_path / "good.wav", seconds=0.5)
    (tmp_path / "noise.mp4").write_bytes(bytes(range(256)) * 40)
    jobs = without_unreadable(gather([str(tmp_path)]), "pyav")
    assert [item.clip.name for item in jobs.failures] == [str(tmp_path / "noise.mp4")]
    assert len(jobs) == 2


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are opened; one named "slow" runs out of time, "bad" is broken."""
    opened: list[str] = []

    def probe(path: Path, *, backend: str) -> None:
        assert backend == "pyav"
        opened.append(path.name)
        if path.stem.startswith("slow"):
            raise TimedOut(path, "took too long")
        if path.stem.startswith("bad"):
            raise MediaError(path, "is broken", "copy it again")

    monkeypatch.setattr(media, "probe", probe)
    return opened


def test_a_file_on_a_slow_disk_is_left_to_the_tagger(probed: list[str]) -> None:
    slow, bad = Clip(Path("slow.mp4")), Clip(Path("bad.mp4"))
    kept, failed = without_unreadable(Jobs((slow, bad), (Path("notes.txt"),)), "pyav").items
    assert kept is slow
    assert failed == Failed(bad, "media", "bad.mp4: is broken; copy it again")
    assert probed == ["slow.mp4", "bad.mp4"]


def test_failed_inputs_and_addresses_are_not_opened(probed: list[str]) -> None:
    gone = Failed(Clip(Path("bad.mp4")), "media", "there is no such file")
    jobs = Jobs((gone, Clip.of("http://host/bad.mp4"), Clip(Path("stdin"), source="-")))
    assert without_unreadable(jobs, "pyav") == jobs
    assert probed == []


@pytest.mark.parametrize("more", [0, 1])
def test_many_files_are_not_opened_twice(more: int, probed: list[str]) -> None:
    jobs = Jobs(tuple(Clip(Path(f"bad{n}.mp4")) for n in range(MOST_OPENED + more)))
    found = without_unreadable(jobs, "pyav")
    assert found.all_failed is (more == 0)
    assert len(probed) == (0 if more else MOST_OPENED)
    assert found.skipped == jobs.skipped
    assert [i.clip if isinstance(i, Failed) else i for i in found.items] == list(jobs.items)


def test_the_command_says_what_cannot_be_read_without_a_network(
    tmp_path: Path, av_tag: AvTag, monkeypatch: pytest.MonkeyPatch
) -> None:
    def built(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(session, "build_tagger", built)
    (tmp_path / "text.mp4").write_text("this is not a film\n" * 50)
    (tmp_path / "noise.mp4").write_bytes(bytes(range(256)) * 40)
    done = av_tag(tmp_path / "text.mp4", tmp_path / "noise.mp4", "--offline", "--json")
    assert done.code == 1
    text, noise = (json.loads(line)["error"]["message"] for line in done.lines)
    assert "text.mp4: is text, not media" in text
    assert "noise.mp4" in noise


def names(jobs: Jobs) -> list[str]:
    return [item.name for item in jobs.items if isinstance(item, Clip)]


def test_inputs_become_clips_in_their_order(tmp_path: Path) -> None:
    for name in ("b.wav", "a.wav"):
        make_audio(tmp_path / name, seconds=0.1)
    jobs = gather([str(tmp_path / "b.wav"), str(tmp_path)])
    assert [Path(name).name for name in names(jobs)] == ["b.wav", "a.wav"]
    assert len(jobs) == 2


def test_an_input_that_is_not_there_fails_alone(tmp_path: Path) -> None:
    make_audio(tmp_path / "a.wav", seconds=0.1)
    words = ["*.mp4", "none.mp4", "a.wav"]
    pattern, missing, found = gather([str(tmp_path / word) for word in words]).items
    assert isinstance(pattern, Failed)
    assert "*.mp4" in pattern.message
    assert isinstance(missing, Failed)
    assert "there is no such file" in missing.message
    assert isinstance(found, Clip)


def test_all_failed_is_known_before_anything_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    jobs = gather([str(tmp_path / "empty.mp4"), str(tmp_path / "none.mp4")])
    assert jobs.all_failed
    assert not gather([make_audio(tmp_path / "a.wav", seconds=0.1).as_posix()]).all_failed


def test_no_inputs_are_refused() -> None:
    with pytest.raises(UsageError, match="name at least one file, folder or glob"):
        gather([])


def test_failed_inputs_are_outcomes_and_are_not_tagged() -> None:
    bad, good = Failed(Clip(Path("bad")), "media", "is broken"), Clip(Path("good"))
    echo = Echo()
    outcomes = list(Jobs((bad, good)).outcomes(cast("Tagger", echo)))
    assert outcomes == [bad, good]
    assert echo.seen == [good]


def test_what_is_not_media_in_a_folder_is_said(tmp_path: Path) -> None:
    make_audio(tmp_path / "a.wav", seconds=0.1)
    for name in ("notes.txt", "more.txt", "b.jpg", "README"):
        (tmp_path / name).write_text("no media")
    said: list[str] = []
    say_skipped(gather([str(tmp_path)]), said.append)
    assert said == ["skipped: 4 files are not media (2 .txt, 1 .jpg, 1 no suffix)"]
    say_skipped(gather([str(tmp_path / "a.wav")]), said.append)
    assert len(said) == 1


def test_a_playlist_is_its_entries(tmp_path: Path) -> None:
    make_audio(tmp_path / "a.wav", seconds=0.1)
    (tmp_path / "list.m3u").write_text("#EXTM3U\n#EXTINF:1,A\na.wav\nhttp://host/b.mp4\n")
    (tmp_path / "list.pls").write_text("[playlist]\nFile1=a.wav\nTitle1=A\n")
    assert names(gather([str(tmp_path / "list.m3u")])) == [
        str(tmp_path / "a.wav"),
        "http://host/b.mp4",
    ]
    assert names(gather([str(tmp_path / "list.pls")])) == [str(tmp_path / "a.wav")]


def test_a_stream_in_pieces_is_explained(tmp_path: Path) -> None:
    text = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\npart0.ts\n"
    (tmp_path / "live.m3u8").write_text(text)
    (failed,) = gather([str(tmp_path / "live.m3u8")]).items
    assert isinstance(failed, Failed)
    assert "lists the pieces of one stream (HLS); join it into one file first" in failed.message


def test_an_address_is_downloaded_and_keeps_its_name(tmp_path: Path, site: str) -> None:
    make_audio(tmp_path / "a b.wav", seconds=0.1)
    address = f"{site}/a%20b.wav"
    with at_hand(gather([address]), quiet=True) as jobs:
        (clip,) = jobs.items
        assert isinstance(clip, Clip)
        assert clip.name == address
        assert clip.path.name == "a b.wav"
        assert clip.path.read_bytes() == (tmp_path / "a b.wav").read_bytes()
    assert not clip.path.exists()


def test_addresses_fail_in_one_sentence(site: str) -> None:
    words = [f"{site}/none.mp4", "rtsp://host/live", "https://127.0.0.1:9/x.mp4"]
    with at_hand(gather(words), quiet=True) as jobs:
        said = [item.message for item in jobs.items if isinstance(item, Failed)]
    assert said[0].startswith(f"{site}/none.mp4: cannot be downloaded (127.0.0.1: the server answe")
    assert said[1].startswith("rtsp://host/live: only http and https are opened; send it through")
    assert "cannot be reached" in said[2]
    assert "download it elsewhere and name the file" in said[2]
    assert all("\n" not in text and "https:/1" not in text for text in said)


def test_offline_forbids_downloads() -> None:
    with at_hand(gather(["https://host/a.mp4"]), offline=True) as jobs:
        (failed,) = jobs.items
    assert isinstance(failed, Failed)
    assert failed.message.startswith("https://host/a.mp4: --offline forbids a download; ")


def test_a_dash_is_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = make_audio(tmp_path / "a.wav", seconds=0.1).read_bytes()
    monkeypatch.setattr("sys.stdin", Stdin(data))
    with at_hand(gather(["-"])) as jobs:
        (clip,) = jobs.items
        assert isinstance(clip, Clip)
        assert clip.name == "-"
        assert clip.path.read_bytes() == data


@pytest.mark.parametrize(
    ("data", "sentence"),
    [(None, "- reads a film from standard input"), (b"", "standard input: is empty (0 bytes)")],
)
def test_standard_input_without_media(
    data: bytes | None, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Stdin(data))
    with at_hand(gather(["-"])) as jobs:
        (failed,) = jobs.items
    assert isinstance(failed, Failed)
    assert sentence in failed.message
