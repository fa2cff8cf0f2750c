"""OpenTimelineIO files, made by its own library."""

from __future__ import annotations

from typing import Any

from av_tagger.errors import missing_library
from av_tagger.reports.writers.timeline import FilmTimeline, TimelineWriter


def otio(film: FilmTimeline) -> str:
    """A timeline with the film as its only clip, and a marker per sound on it."""
    lib = _library()
    rate = float(film.rate.rate)

    def span(first: int, frames: int) -> Any:
        time = lib.opentime.RationalTime
        return lib.opentime.TimeRange(time(first, rate), time(frames, rate))

    clip = lib.schema.Clip(
        name=film.name,
        media_reference=lib.schema.ExternalReference(film.url, span(0, film.frames)),
        source_range=span(0, film.frames),
    )
    for marker in film.markers:
        more = {"av-tag": {"note": marker.note}}
        one = lib.schema.Marker(marker.label, span(marker.start, marker.frames), metadata=more)
        clip.markers.append(one)
    kinds = lib.schema.TrackKind
    kind = kinds.Video if film.has_video else kinds.Audio
    timeline = lib.schema.Timeline(
        film.name, global_start_time=lib.opentime.RationalTime(film.start, rate)
    )
    timeline.tracks.append(lib.schema.Track(kind, children=[clip], kind=kind))
    return str(lib.adapters.write_to_string(timeline, "otio_json")) + "\n"


def _library() -> Any:
    try:
        import opentimelineio
    except ImportError as error:
        need = "OpenTimelineIO files need"
        raise missing_library(need, "opentimelineio", error, "otio") from error
    return opentimelineio


OTIO = TimelineWriter(".otio", otio, need=_library)
