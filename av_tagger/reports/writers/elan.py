"""Events for ELAN: an .eaf file with one tier per tag, times in milliseconds of the file."""

from __future__ import annotations

import mimetypes
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from av_tagger.reports.files import xml_text
from av_tagger.reports.writers.base import TextWriter, occurrences, only_tagged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from av_tagger.scores import Outcome, Tag, Tagged

_XSI = "http://www.w3.org/2001/XMLSchema-instance"


def elan(outcomes: Iterable[Outcome]) -> Iterator[str]:
    for tagged in only_tagged(outcomes):
        document = _document(tagged)
        ET.indent(document)
        yield (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            + ET.tostring(document, encoding="unicode")
            + "\n"
        )


def now() -> datetime:
    return datetime.now(UTC)


def _document(tagged: Tagged) -> ET.Element:
    root = ET.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "av-tag",
            "DATE": now().isoformat(timespec="seconds"),
            "FORMAT": "3.0",
            "VERSION": "3.0",
            "xmlns:xsi": _XSI,
            "xsi:noNamespaceSchemaLocation": "http://www.mpi.nl/tools/elan/EAFv3.0.xsd",
        },
    )
    root.append(_header(tagged.clip.path))
    moments = [
        (ms, tag, n, edge)
        for tag in tagged.tags
        for n, span in enumerate(_spans(tagged, tag))
        for edge, ms in enumerate(span)
    ]
    slots = ET.SubElement(root, "TIME_ORDER")
    names: dict[tuple[str, int, int], str] = {}
    for number, (ms, tag, n, edge) in enumerate(sorted(moments, key=lambda m: (m[0], m[3])), 1):
        names[tag.label, n, edge] = f"ts{number}"
        ET.SubElement(slots, "TIME_SLOT", TIME_SLOT_ID=f"ts{number}", TIME_VALUE=str(ms))
    _tiers(root, tagged, names)
    ET.SubElement(
        root,
        "LINGUISTIC_TYPE",
        GRAPHIC_REFERENCES="false",
        LINGUISTIC_TYPE_ID="sound",
        TIME_ALIGNABLE="true",
    )
    return root


def _header(path: Path) -> ET.Element:
    header = ET.Element("HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    full = xml_text(str(path.absolute()).encode("utf-8", "replace").decode("utf-8"))
    ET.SubElement(
        header,
        "MEDIA_DESCRIPTOR",
        MEDIA_URL=Path(full).as_uri(),
        MIME_TYPE=kind,
        RELATIVE_MEDIA_URL="",
    )
    return header


def _tiers(root: ET.Element, tagged: Tagged, names: dict[tuple[str, int, int], str]) -> None:
    number = 0
    for tag in tagged.tags:
        tier = ET.SubElement(root, "TIER", LINGUISTIC_TYPE_REF="sound", TIER_ID=xml_text(tag.label))
        for n, event in enumerate(occurrences(tagged, tag)):
            number += 1
            refs = {
                "TIME_SLOT_REF1": names[tag.label, n, 0],
                "TIME_SLOT_REF2": names[tag.label, n, 1],
            }
            aligned = ET.SubElement(
                ET.SubElement(tier, "ANNOTATION"),
                "ALIGNABLE_ANNOTATION",
                {"ANNOTATION_ID": f"a{number}", **refs},
            )
            kind = "peak" if tag.events else "probability"
            ET.SubElement(aligned, "ANNOTATION_VALUE").text = f"{kind} {event.peak:.2f}"


def _spans(tagged: Tagged, tag: Tag) -> list[tuple[int, int]]:
    """Start and end in milliseconds; ELAN does not show annotations of length zero."""
    events = [(round(e.start * 1000), round(e.end * 1000)) for e in occurrences(tagged, tag)]
    return [(start, max(end, start + 1)) for start, end in events]


ELAN = TextWriter(".eaf", elan, each=True)
