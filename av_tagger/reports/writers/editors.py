"""XML of video editors: FCPXML (Final Cut Pro, Resolve) and xmeml (Premiere, Resolve)."""

from __future__ import annotations

from fractions import Fraction
from xml.etree import ElementTree as ET

from av_tagger.reports.writers.timeline import FilmTimeline, TimelineWriter

FCPXML_VERSION, XMEML_VERSION = "1.9", "5"
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


def fcpxml(film: FilmTimeline) -> str:
    """A project with the film as its only clip, and a marker per sound on it."""
    root = ET.Element("fcpxml", version=FCPXML_VERSION)
    resources = ET.SubElement(root, "resources")
    frame = _rational(film.rate.seconds(1))
    ET.SubElement(resources, "format", id="r1", frameDuration=frame)
    duration = _rational(film.rate.seconds(film.frames))
    asset = ET.SubElement(
        resources,
        "asset",
        {
            "id": "r2",
            "name": film.name,
            "start": "0s",
            "duration": duration,
            "hasAudio": "1",
            **({"hasVideo": "1", "format": "r1"} if film.has_video else {}),
        },
    )
    ET.SubElement(asset, "media-rep", kind="original-media", src=film.url)
    event = ET.SubElement(ET.SubElement(root, "library"), "event", name="av-tag")
    project = ET.SubElement(event, "project", name=film.name)
    timecodes = "DF" if film.rate.drop else "NDF"
    start = _rational(film.rate.seconds(film.start))
    sequence = ET.SubElement(
        project, "sequence", format="r1", duration=duration, tcStart=start, tcFormat=timecodes
    )
    shared = {"name": film.name, "start": "0s", "duration": duration, "tcFormat": timecodes}
    clip = ET.SubElement(
        ET.SubElement(sequence, "spine"), "asset-clip", {"ref": "r2", "offset": start, **shared}
    )
    for marker in film.markers:
        times = (film.rate.seconds(n) for n in (marker.start, marker.frames))
        first, length = map(_rational, times)
        ET.SubElement(
            clip, "marker", start=first, duration=length, value=marker.label, note=marker.note
        )
    return f"{_HEAD}<!DOCTYPE fcpxml>\n{_text(root)}"


def xmeml(film: FilmTimeline) -> str:
    """A sequence with the film as its only clip, and a marker per sound on the sequence."""
    root = ET.Element("xmeml", version=XMEML_VERSION)
    sequence = ET.SubElement(root, "sequence", id="sequence-1")
    _texts(sequence, name=film.name, duration=film.frames)
    _rate(sequence, film)
    timecode = ET.SubElement(sequence, "timecode")
    _rate(timecode, film)
    _texts(timecode, string=film.rate.timecode(film.start), frame=film.start)
    _texts(timecode, displayformat="DF" if film.rate.drop else "NDF")
    media = ET.SubElement(sequence, "media")
    kinds = ("video", "audio") if film.has_video else ("audio",)
    for kind in kinds:
        track = ET.SubElement(ET.SubElement(media, kind), "track")
        _clip_item(track, film, kind, first=kind == kinds[0])
    for marker in film.markers:
        place = ET.SubElement(sequence, "marker")
        _texts(place, name=marker.label, comment=marker.note)
        _texts(place, **{"in": marker.start, "out": marker.start + marker.frames})
    return f"{_HEAD}<!DOCTYPE xmeml>\n{_text(root)}"


def _clip_item(track: ET.Element, film: FilmTimeline, kind: str, *, first: bool) -> None:
    item = ET.SubElement(track, "clipitem", id=f"{kind}-1")
    _texts(item, name=film.name, duration=film.frames)
    _rate(item, film)
    _texts(item, **{"start": 0, "end": film.frames, "in": 0, "out": film.frames})
    file = ET.SubElement(item, "file", id="file-1")
    if not first:
        return  # the file was described before
    _texts(file, name=film.name, pathurl=film.url)
    _rate(file, film)
    _texts(file, duration=film.frames)
    media = ET.SubElement(file, "media")
    for name in ("video", "audio") if film.has_video else ("audio",):
        ET.SubElement(media, name)


def _rate(parent: ET.Element, film: FilmTimeline) -> None:
    rate = ET.SubElement(parent, "rate")
    _texts(rate, timebase=film.rate.nominal, ntsc="TRUE" if film.rate.is_ntsc else "FALSE")


def _texts(parent: ET.Element, **values: object) -> None:
    for name, value in values.items():
        ET.SubElement(parent, name).text = str(value)


def _rational(seconds: Fraction) -> str:
    """Seconds as FCPXML writes them: `1001/30000s`, `5s`."""
    whole = seconds.denominator == 1
    return f"{seconds.numerator}s" if whole else f"{seconds.numerator}/{seconds.denominator}s"


def _text(root: ET.Element) -> str:
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


FCPXML = TimelineWriter(".fcpxml", fcpxml)
XMEML = TimelineWriter(".premiere.xml", xmeml)
