"""The flags of `av-tag listen`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from av_tagger.cli.options import ModelOptions, TalkOptions
from av_tagger.flags import OUTPUT, option, optional_argument

SOURCE, WHEN, KEEP = "Source", "When and what", "Recording"


@dataclass(frozen=True, kw_only=True)
class ListenOptions(ModelOptions, TalkOptions):
    source: str = optional_argument(
        "mic",
        "[SOURCE]",
        "mic, mic:NAME, camera:NAME, a URL (rtsp, http, udp, ...), a file, or - for standard"
        " input. Default: mic.",
    )
    camera: str | None = option(
        None,
        "Pictures for the sound of a microphone: a device, or its number.",
        metavar="NAME",
        group=SOURCE,
    )
    pace: str = option(
        "real", "Read a file as it plays, or fast.", metavar="real|fast", group=SOURCE
    )
    rate: int | None = option(
        None,
        "Standard input is raw PCM with this sampling rate; else a container.",
        metavar="HZ",
        low=100,
        group=SOURCE,
    )
    format: str = option("s16le", "Samples of raw PCM: s16le, s32le, f32le or u8.", group=SOURCE)
    channels: int = option(1, "Channels of raw PCM.", low=1, group=SOURCE)
    windows: str = option(
        "live",
        "live: answers soon. file: the windows, scores and events of av-tag FILE, later.",
        metavar="live|file",
        group=WHEN,
    )
    hop: float = option(
        0.5, "Seconds between two answers.", metavar="SECONDS", low=0.1, high=10.0, group=WHEN
    )
    look: float = option(
        5.0, "Seconds between two looks of the eye.", metavar="SECONDS", low=0.5, group=WHEN
    )
    threads: int = option(
        1, "Threads of the networks; more answer sooner, and cost more.", low=1, group=WHEN
    )
    alarms: Path | None = option(
        None,
        "Rules per class: minimum duration, hold-off, threshold, quiet hours.",
        metavar="FILE.toml",
        group=WHEN,
    )
    on_event: str | None = option(
        None,
        "Run this program per event (open, close), with the event as JSON on its standard input.",
        metavar="COMMAND",
        group=OUTPUT,
    )
    webhook: str | None = option(
        None, "POST each event as JSON to this URL.", metavar="URL", group=OUTPUT
    )
    mqtt: str | None = option(
        None,
        "Publish to an MQTT broker and Home Assistant: mqtt://user:password@host/name.",
        metavar="URL",
        group=OUTPUT,
    )
    vtt: Path | None = option(
        None, "Write captions (WebVTT) that grow.", metavar="FILE.vtt", group=OUTPUT
    )
    journal: Path | None = option(
        None,
        "Keep a journal: one SQLite file and one result per day.",
        metavar="FOLDER",
        group=OUTPUT,
    )
    keep: Path | None = option(
        None,
        "Keep the clip around each event in this folder. Without it nothing is recorded.",
        metavar="FOLDER",
        group=KEEP,
    )
    before: float = option(
        5.0, "Seconds kept before an event.", metavar="SECONDS", low=0.0, high=60.0, group=KEEP
    )
    after: float = option(
        5.0, "Seconds kept after an event.", metavar="SECONDS", low=0.0, high=60.0, group=KEEP
    )
    keep_limit: float = option(
        1000.0,
        "Size limit of the folder; the oldest clips are deleted.",
        metavar="MB",
        low=1.0,
        group=KEEP,
    )
    mute_speech: bool = option(
        False, "Silence speech in kept clips, for ears that know it (yamnet).", group=KEEP
    )
    json: bool = option(False, "Print JSON lines on stdout, and nothing else there.", group=OUTPUT)
    seconds: bool = option(False, "Also a line per second with the best classes.", group=OUTPUT)
    updates: float = option(
        0.0,
        "Also a line per open event, every N seconds.",
        metavar="SECONDS",
        low=0.0,
        group=OUTPUT,
    )
