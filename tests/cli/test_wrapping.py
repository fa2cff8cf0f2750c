"""Messages at a terminal's width: words, paths, commands and quoted names stay whole."""

from __future__ import annotations

import io

import pytest
from rich.text import Text

from av_tagger.cli.console import Console, stdout_console
from av_tagger.cli.output import print_error
from av_tagger.cli.wrapping import columns, wrapped
from tests.cli.conftest import AvTag, Terminal

SENTENCE = "the sound of this film could not be decoded from 12.5 s on; the rest was heard"


def test_lines_end_between_words() -> None:
    lines = wrapped(SENTENCE, 30)
    assert " ".join(lines) == SENTENCE
    assert max(map(len, lines)) <= 30
    assert len(lines) == 3


@pytest.mark.parametrize(
    "whole",
    [
        "av-tag weights fetch yamnet",
        'av-tag find RUN "any siren"',
        "'Fire engine, fire truck (siren)'",
        '"Fire engine, fire truck"',
        "pip install .[ray]",
        "/a/very/long/path/with-no-spaces.html",
        "https://host/a/film.mp4",
        "2.17 GB",
        "94.5 %",
    ],
)
@pytest.mark.parametrize("width", range(40, 60))
def test_commands_paths_and_quoted_names_stay_whole(whole: str, width: int) -> None:
    text = f"word vectors are not on this machine: {whole}, or go on without these words"
    lines = wrapped(text, width)
    assert any(whole in line for line in lines)
    assert max(map(len, lines)) <= width


def test_a_written_path_with_spaces_stays_whole() -> None:
    path = "/media/disk/My films of last summer/the long report of all.html"
    assert wrapped(f"the page is done; wrote {path}, 3 files", 40)[1:] == [path + ",", "3 files"]


def test_a_word_that_is_too_long_has_a_line_of_its_own() -> None:
    assert wrapped(f"wrote {'x' * 50}: 3 rows", 40) == ["wrote", "x" * 50 + ":", "3 rows"]


def test_further_lines_are_indented_like_the_first() -> None:
    lines = wrapped("    " + SENTENCE, 40)
    assert all(line.startswith("    ") for line in lines)
    assert wrapped("- " + SENTENCE, 40, hanging=2)[1].startswith("  ")


def test_lines_of_a_text_stay_lines_and_columns_of_spaces_stay() -> None:
    assert wrapped("video: a\npage:  b\n", 40) == ["video: a", "page:  b", ""]


def test_wide_and_combining_characters_are_counted_as_terminals_do() -> None:
    assert columns("abc") == 3
    assert columns("映画") == 4
    assert columns("e\u0301") == 1
    assert max(map(columns, wrapped("映画 " * 30, 40))) <= 40


def test_a_terminal_gets_lines_and_a_pipe_one_line() -> None:
    shown, piped = Terminal(), io.StringIO()
    Console(file=shown, width=40, no_color=True).say(SENTENCE)
    Console(file=piped, width=40).say(SENTENCE)
    assert shown.getvalue().splitlines() == wrapped(SENTENCE, 40)
    assert piped.getvalue() == SENTENCE + "\n"


def test_styles_go_with_their_words() -> None:
    shown = Terminal()
    console = Console(file=shown, width=20, color_system="256", record=True)
    console.say(Text().append("bold", "bold").append(" and more words than fit"))
    assert "\x1b[1mbold\x1b[0m and more" in shown.getvalue()
    assert len(console.export_text().splitlines()) == 2


def test_markup_and_numbers_are_printed_as_they_are() -> None:
    shown = Terminal()
    Console(file=shown, width=40, color_system="256").say("[red]x[/red] 12 :smile:")
    assert shown.getvalue() == "[red]x[/red] 12 :smile:\n"


def test_control_characters_are_escapes() -> None:
    """Also new lines: those of a file name would forge a line."""
    shown = Terminal()
    Console(file=shown, width=40).say("a\x1b[2J\nb")
    assert shown.getvalue() == "a\\x1b[2J\\nb\n"


def test_errors_wrap_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    print_error(SENTENCE)
    assert capsys.readouterr().err == f"av-tag: {SENTENCE}\n"
    monkeypatch.setattr("sys.stderr", shown := Terminal())
    print_error(SENTENCE)
    assert shown.getvalue().splitlines() == wrapped(f"av-tag: {SENTENCE}", 40)


def test_tables_in_a_pipe_have_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert stdout_console().width == 200
    monkeypatch.setenv("COLUMNS", "90")
    assert stdout_console().width == 90


@pytest.mark.parametrize(
    "words",
    [
        ("/no/such/folder/of/a/rather/long/name/film.mp4",),
        ("tag", "film.mp4", "--fromat", "json"),
        ("tune", "nothing", "-o", "x.json"),
        ("classes", "siren"),
        ("config",),
        ("doctor", "--offline"),
        ("recipes",),
        ("weights", "check"),
        ("--help",),
        ("tag", "--help"),
    ],
)
def test_no_line_is_wider_than_the_terminal(on_terminal: AvTag, words: tuple[str, ...]) -> None:
    done = on_terminal(*words)
    lines = (done.out + done.err).splitlines()
    assert lines
    long = [line for line in lines if len(line) > 80]
    assert all(len(line.split()) == 1 for line in long), "only a path may be longer"
