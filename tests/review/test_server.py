"""The server lets in its own page only, serves only the media of the results, in parts."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from av_tagger.reports.schema import as_line
from av_tagger.review import server
from tests.review.conftest import Served, serve, session_of, tagged, write_run
from tests.waiting import LIMIT

HOSTILE = '<img src=x onerror="document.title=1">&"\'</script><script>document.title=2</script>'


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[Served]:
    name = "=cmd <b>&\"' onerror=alert(1)`$x`.wav"
    results = [tagged(tmp_path / name, {HOSTILE: 0.6, "=1+1": 0.55})]
    yield from serve(session_of(write_run(tmp_path / "run", results)))


def test_the_page_and_the_questions_need_the_token(served: Served) -> None:
    assert served.ask("")[0] == 200
    token = served.server.token
    assert len(token) >= 32
    for path in ("/", "/questions", f"/{token[:-1]}/", f"/{token}x/", "/x/questions", "//", "*"):
        code, _, body = served.raw(path)
        assert code in (403, 404), path
        assert b"Bus" not in body
        assert token.encode() not in body
    assert served.raw("/answer", {"key": "a"})[0] == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "[::1]:80"])
def test_other_host_names_are_refused(served: Served, host: str) -> None:
    name = host.format(port=served.server.port)
    code, _, body = served.ask("questions", headers={"Host": name})
    assert code == 421
    assert b"Bus" not in body


def test_requests_of_other_pages_are_refused(served: Served) -> None:
    question = served.json("questions")["questions"][0]
    answer = {"key": question["key"], "part": 0, "answer": "yes"}
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
    ):
        assert served.ask("answer", answer, headers)[0] == 403
    assert served.raw(f"/{served.server.token}/answer", method="OPTIONS")[0] == 501
    assert served.session.log.answers == {}


def test_every_answer_forbids_what_the_page_does_not_need(served: Served) -> None:
    key = served.json("questions")["questions"][0]["key"]
    for path in ("", "questions", f"media/{key}", "nothing", f"keyframe/{key}/0"):
        _, headers, _ = served.ask(path)
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'sha256-")
        assert "unsafe" not in policy
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert not [name for name in headers if name.startswith("Access-Control")]


def test_it_listens_on_this_machine_only(served: Served) -> None:
    assert served.server.http.server_address[0] == "127.0.0.1"
    assert served.server.address.startswith(f"http://127.0.0.1:{served.server.port}/")


@pytest.mark.parametrize(
    "path",
    [
        "media/../../../etc/passwd",
        "media/..%2f..%2fetc%2fpasswd",
        "media//etc/passwd",
        "../../etc/passwd",
        "media/%00",
        "media/",
        "spectrogram/x",
        "keyframe/x/../../1",
        "sound/x/0",
    ],
)
def test_no_path_leads_to_another_file(served: Served, path: str) -> None:
    code, _, body = served.ask(path)
    assert code in (403, 404, 422)
    assert b"root:" not in body


def test_files_that_are_no_media_are_not_served(tmp_path: Path) -> None:
    """Results may come from elsewhere, and name anything."""
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    (tmp_path / "link.wav").symlink_to(secret)
    (tmp_path / "folder.wav").mkdir()
    run = write_run(tmp_path / "run", [tagged(tmp_path / "ok.wav", {"Bus": 0.6})])
    names = ["secret.txt", "link.wav", "folder.wav", "../run/results.jsonl", "gone.wav"]
    lines = "".join(as_line(tagged(tmp_path / n, {"Bus": 0.6})) + "\n" for n in names)
    with (run / "results.jsonl").open("a") as file:
        file.write(lines)
    for served in serve(session_of(run)):
        units = served.session.found.units
        assert len(units) == 6
        codes = [served.ask(f"media/{u.key}")[0] for u in units]
        assert codes == [200, 422, 422, 422, 422, 422]
        assert [q["name"] for q in served.json("questions")["questions"]] == ["ok.wav"]
        swapped = tmp_path / "ok.wav"
        swapped.unlink()
        swapped.symlink_to(secret)
        assert served.ask(f"media/{units[0].key}")[0] == 422


def test_media_come_in_parts(served: Served, tmp_path: Path) -> None:
    question = served.json("questions")["questions"][0]
    whole = (tmp_path / question["name"]).read_bytes()
    path = f"media/{question['key']}"
    code, headers, body = served.ask(path)
    assert (code, headers["Accept-Ranges"], body) == (200, "bytes", whole)
    for asked, start, end in (("0-9", 0, 10), ("100-", 100, None), ("-50", -50, None)):
        code, headers, body = served.ask(path, headers={"Range": f"bytes={asked}"})
        assert (code, body) == (206, whole[start:end])
        assert headers["Content-Range"].endswith(f"/{len(whole)}")
    code, headers, body = served.ask(path, headers={"Range": f"bytes={len(whole)}-"})
    assert (code, headers["Content-Range"], body) == (416, f"bytes */{len(whole)}", b"")
    for strange in ("bytes=1-2,4-5", "lines=1-2", "bytes=-", "bytes=b-a"):
        assert served.ask(path, headers={"Range": strange})[2] == whole
    code, headers, body = served.raw(f"/{served.server.token}/{path}", method="HEAD")
    assert (code, headers["Content-Length"], body) == (200, str(len(whole)), b"")


def test_a_part_is_decoded_for_browsers_that_cannot_play_the_file(served: Served) -> None:
    question = served.json("questions")["questions"][0]
    key, seconds = question["key"], question["end"] - question["start"]
    code, headers, body = served.ask(f"sound/{key}/0")
    assert (code, headers["Content-Type"], body[:4]) == (200, "audio/wav", b"RIFF")
    assert abs(len(body) - 44 - 2 * 32_000 * seconds) < 3200
    assert served.ask(f"sound/{key}/99")[0] == 400


def test_hostile_names_and_labels_are_data(hostile: Served) -> None:
    code, _, page = hostile.ask("")
    assert code == 200
    assert HOSTILE.encode() not in page
    assert page.count(b"<script") == page.count(b"</script>") == 2
    (first, second) = hostile.json("questions")["questions"]
    assert {first["label"], second["label"]} == {HOSTILE, "=1+1"}
    for question in (first, second):
        assert hostile.ask(f"media/{question['key']}")[0] == 200
        answer = {"key": question["key"], "part": 0, "answer": "yes", "reviewer": HOSTILE}
        assert hostile.ask("answer", answer)[0] == 200
    lines = (hostile.session.log.path).read_text().splitlines()
    assert json.loads(lines[0])["reviewer"] == HOSTILE[:200]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"key": "x", "part": 0, "answer": "yes"},
        {"key": "KEY", "part": 9, "answer": "yes"},
        {"key": "KEY", "part": 0, "answer": "perhaps"},
        {"key": "KEY", "part": 0, "answer": "other", "other": "no such class"},
        {"key": "KEY", "part": "0", "answer": "yes"},
        {"key": "KEY", "part": 0, "answer": "yes", "reviewer": 5},
        [1],
        "text",
    ],
)
def test_answers_that_cannot_be_are_refused(served: Served, fields: object) -> None:
    key = served.json("questions")["questions"][0]["key"]
    body = json.loads(json.dumps(fields).replace("KEY", key))
    assert served.ask("answer", body)[0] in (400, 422)
    assert served.session.log.answers == {}


def test_a_long_body_is_not_read(served: Served) -> None:
    assert served.ask("answer", {"key": "x" * 30_000})[0] == 400


def test_a_refused_body_can_be_sent_to_its_end(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a slow client would find the connection reset, and no answer."""
    monkeypatch.setattr(server, "LINGER_SECONDS", LIMIT)
    head = (
        f"POST /{served.server.token}/answer HTTP/1.1\r\nHost: 127.0.0.1:{served.server.port}\r\n"
        "Content-Type: application/json\r\nContent-Length: 400000\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", served.server.port), timeout=LIMIT) as connection:
        connection.sendall(head.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
        for _ in range(4):
            connection.sendall(b"x" * 100_000)
    assert answer.startswith(b"HTTP/1.1 400 ")


BODY_AND_MORE = b'{"key": "a"}GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n'


def test_a_body_of_unknown_length_ends_the_connection(served: Served) -> None:
    """Else the unread rest would be taken for the next request."""
    for length in ("x", "-1", "1_0", "9" * 5000, "99999999", None):
        answer = posted(served, length, BODY_AND_MORE)
        assert answer.startswith(b"HTTP/1.1 400 "), length
        assert answer.count(b"HTTP/1.1 ") == 1, length
        assert b"Connection: close" in answer, length


def test_a_body_that_is_no_json_is_refused(served: Served) -> None:
    for body in (b"", b"{", b"\xff\xfe", b"[" * 19_000, b'{"key": ' * 2000):
        answer = posted(served, str(len(body)), body)
        assert answer.startswith(b"HTTP/1.1 400 "), body[:20]
    assert served.ask("questions")[0] == 200
    assert served.session.log.answers == {}


def posted(served: Served, length: str | None, body: bytes) -> bytes:
    """All that the server sends until it closes, or until the client has sent all it wants."""
    lines = [
        f"POST /{served.server.token}/answer HTTP/1.1",
        f"Host: 127.0.0.1:{served.server.port}",
        "Content-Type: application/json",
        *([] if length is None else [f"Content-Length: {length}"]),
    ]
    with socket.create_connection(("127.0.0.1", served.server.port), timeout=LIMIT) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))
