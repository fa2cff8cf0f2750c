"""Parts of files as HTTP asks for them, and JSON that every browser reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from av_tagger.errors import StorageError
from av_tagger.review import replies
from av_tagger.review.replies import FileReply, Reply

DATA = bytes(range(100))


@pytest.fixture
def file(tmp_path: Path) -> FileReply:
    path = tmp_path / "a.wav"
    path.write_bytes(DATA)
    return FileReply(path=path, kind="audio/wav")


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=99-", 99, 99),
        ("bytes=90-1000000000000000", 90, 99),
        ("bytes=-1", 99, 99),
        ("bytes=-1000", 0, 99),
        ("bytes = 5 - 9", 5, 9),
    ],
)
def test_a_part(asked: str, first: int, last: int, file: FileReply) -> None:
    code, headers, pieces = file.part(asked)
    body = b"".join(pieces)
    assert (code, body) == (206, DATA[first : last + 1])
    assert headers == {
        "Content-Type": "audio/wav",
        "Accept-Ranges": "bytes",
        "Content-Length": str(len(body)),
        "Content-Range": f"bytes {first}-{last}/100",
    }


@pytest.mark.parametrize(
    "asked", [None, "", "bytes=9-5", "bytes=-", "bytes=0-1,5-9", "bytes=" + "9" * 30 + "-", "x=0-1"]
)
def test_what_is_no_range_gives_the_whole_file(asked: str | None, file: FileReply) -> None:
    code, headers, pieces = file.part(asked)
    assert (code, b"".join(pieces)) == (200, DATA)
    assert headers["Content-Length"] == "100"
    assert "Content-Range" not in headers


@pytest.mark.parametrize("asked", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_part_behind_the_end_is_refused(asked: str, file: FileReply) -> None:
    code, headers, pieces = file.part(asked)
    assert (code, list(pieces)) == (416, [])
    assert (headers["Content-Range"], headers["Content-Length"]) == ("bytes */100", "0")


def test_an_empty_file(file: FileReply) -> None:
    file.path.write_bytes(b"")
    code, headers, pieces = file.part(None)
    assert (code, headers["Content-Length"], b"".join(pieces)) == (200, "0", b"")
    assert file.part("bytes=0-")[0] == 416


def test_large_files_are_read_in_pieces(file: FileReply, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "PIECE", 32)
    assert [len(piece) for piece in file.part("bytes=1-98")[2]] == [32, 32, 32, 2]


def test_a_file_that_shrinks_meanwhile_ends_early(file: FileReply) -> None:
    _, headers, pieces = file.part(None)
    file.path.write_bytes(DATA[:10])
    assert (headers["Content-Length"], b"".join(pieces)) == ("100", DATA[:10])


def test_a_file_that_is_gone_is_named(file: FileReply) -> None:
    file.path.unlink()
    with pytest.raises(StorageError, match=r"a\.wav: cannot be read \(No such file"):
        file.part(None)


def test_json_is_ascii_and_has_no_nan() -> None:
    reply = Reply.of_json({"label": "Zug \u2028</script>"})
    assert reply.content == b'{"label": "Zug \\u2028</script>"}'
    assert reply.headers["Content-Length"] == str(len(reply.content))
    with pytest.raises(ValueError, match="not JSON compliant"):
        Reply.of_json({"score": float("nan")})
