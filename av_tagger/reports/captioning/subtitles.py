"""Subtitle files: SRT and WebVTT, read leniently and written strictly."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from av_tagger.errors import TableError, UsageError
from av_tagger.reports.files import write_text

SRT, VTT = "srt", "vtt"
LONGEST_BYTES = 50_000_000  # a film has some 100,000 bytes of subtitles
_TIME = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
_TIMING = re.compile(rf"^\s*{_TIME}\s*-->\s*{_TIME}(?:[ \t]+(.*))?$")
_TAG = re.compile(r"</?(?:i|b|u)>", re.IGNORECASE)
_ANY_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<\d[\d:.]*>|\{\\[^{}]*\}")
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class Subtitle:
    """One cue: milliseconds, and its text as it stands in a file of its format."""

    start: int
    end: int
    text: str
    id: str = ""  # of WebVTT
    settings: str = ""  # of WebVTT, such as `line:0`

    @property
    def shown(self) -> str:
        """The text as a viewer reads it: without markup."""
        return html.unescape(_ANY_TAG.sub("", self.text)).strip()


@dataclass(frozen=True)
class SubtitleFile:
    """The cues of a file in order of time."""

    format: str = VTT
    cues: tuple[Subtitle, ...] = ()
    header: str = "WEBVTT"  # of WebVTT: all before the first cue (styles, regions, notes)


def format_of(path: Path) -> str:
    """`srt` or `vtt`, by suffix."""
    suffix = path.suffix.lower().removeprefix(".")
    if suffix not in (SRT, VTT):
        raise UsageError(f"{path}: subtitles are read and written as .srt or .vtt")
    return suffix


def read_subtitles(path: Path) -> SubtitleFile:
    """An SRT or WebVTT file; the content decides which of the two it is.

    UTF-8, UTF-16 with a byte order mark, else Windows-1252, in which many old SRT files are.
    """
    try:
        if path.stat().st_size > LONGEST_BYTES:
            raise UsageError(f"{path}: is larger than any subtitle file; check the name")
        text = _decoded(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); check the name") from error
    read = parse_subtitles(text)
    if not read.cues and text.strip() and not text.lstrip().startswith("WEBVTT"):
        raise TableError(path, 1, "has no subtitle", "00:00:01,000 --> 00:00:02,500 and a text")
    return read


def parse_subtitles(text: str) -> SubtitleFile:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    is_vtt = lines[0].startswith("WEBVTT")
    timings = [(n, found) for n, line in enumerate(lines) if (found := _TIMING.match(line))]
    ends = [*(n for n, _ in timings[1:]), len(lines)][: len(timings)]
    cues = [
        _cue(found, lines, n, end, is_vtt=is_vtt)
        for (n, found), end in zip(timings, ends, strict=True)
    ]
    ordered = tuple(sorted((c for c in cues if c.end > c.start), key=lambda c: (c.start, c.end)))
    if not is_vtt:
        return SubtitleFile(SRT, ordered)
    first = timings[0][0] if timings else len(lines)
    head = "\n".join(lines[: first - (first > 1 and bool(lines[first - 1].strip()))])
    return SubtitleFile(VTT, ordered, _FORBIDDEN.sub("", head).strip())


def as_format(file: SubtitleFile, format_: str) -> SubtitleFile:
    """The same cues as another format writes them: markup other than i, b and u is lost."""
    if file.format == format_:
        return file
    convert = _to_vtt if format_ == VTT else _to_srt
    cues = (replace(c, text=convert(c.text), id="", settings="") for c in file.cues)
    return SubtitleFile(format_, tuple(cues))


def render_subtitles(file: SubtitleFile) -> Iterator[str]:
    """The text of the file, piece by piece."""
    if file.format == VTT:
        yield f"{file.header or 'WEBVTT'}\n"
    for number, cue in enumerate(file.cues, 1):
        point = "." if file.format == VTT else ","
        times = f"{timestamp(cue.start, point)} --> {timestamp(cue.end, point)}"
        if file.format == VTT:
            name = f"{cue.id}\n" if cue.id else ""
            yield f"\n{name}{times}{' ' + cue.settings if cue.settings else ''}\n{_safe(cue)}\n"
        else:
            yield f"{number}\n{times}\n{_safe(cue)}\n\n"


def write_subtitles(file: SubtitleFile, path: Path) -> Path:
    """Write a file in the format of its suffix, completely or not at all."""
    write_text(path, render_subtitles(as_format(file, format_of(path))))
    return path


def escaped(text: str, format_: str) -> str:
    """Plain text as a cue of the format holds it; SRT has no escapes."""
    if format_ == VTT:
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("-->", "→").replace("<", "‹").replace(">", "›")


def timestamp(ms: int, point: str = ".") -> str:
    """01:02:03.456, with the decimal point of the format."""
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{point}{ms:03d}"


def _safe(cue: Subtitle) -> str:
    """The text without empty lines, arrows and characters that end or break a cue."""
    lines = (line.strip() for line in _FORBIDDEN.sub("", cue.text).splitlines())
    return "\n".join(line.replace("-->", "→") for line in lines if line)


def _cue(
    found: re.Match[str], lines: Sequence[str], at: int, end: int, *, is_vtt: bool
) -> Subtitle:
    start, stop = (_ms(found.groups()[i : i + 4]) for i in (0, 4))
    body = list(lines[at + 1 : end])
    if is_vtt:
        name = lines[at - 1].strip() if at else ""
        text = "\n".join(_until_empty(body))
        return Subtitle(
            start, stop, text, "" if name.startswith("WEBVTT") else name, found[9] or ""
        )
    if end < len(lines):  # the number of the next cue
        while body and not body[-1].strip():
            body.pop()
        if body and body[-1].strip().isdecimal() and (len(body) < 2 or not body[-2].strip()):
            body.pop()
    return Subtitle(start, stop, "\n".join(line for line in body if line.strip()))


def _until_empty(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        if not line.strip():
            return
        yield line


def _ms(parts: Sequence[str | None]) -> int:
    hours, minutes, seconds, thousandths = parts
    whole = (int(hours or 0) * 60 + int(minutes or 0)) * 60 + int(seconds or 0)
    return whole * 1000 + int((thousandths or "0").ljust(3, "0"))


def _decoded(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _to_vtt(text: str) -> str:
    return _outside_tags(text, lambda part: escaped(html.unescape(part), VTT))


def _to_srt(text: str) -> str:
    return _outside_tags(text, lambda part: escaped(html.unescape(part), SRT))


def _outside_tags(text: str, convert: object) -> str:
    """Tags i, b and u stay, other markup goes, the text between is converted."""
    assert callable(convert)
    kept = _ANY_TAG.sub(lambda found: found[0] if _TAG.fullmatch(found[0]) else "", text)
    pieces, at = [], 0
    for found in _TAG.finditer(kept):
        pieces += [convert(kept[at : found.start()]), found[0].lower()]
        at = found.end()
    return "".join([*pieces, convert(kept[at:])])
