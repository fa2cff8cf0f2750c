"""av-tag listen SOURCE: hears and sees a stream, and says what happens as it happens."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from av_tagger.cli.listen_options import ListenOptions
from av_tagger.cli.options import command

if TYPE_CHECKING:
    from av_tagger.live.alarms import AlarmFilter
    from av_tagger.live.listener import LiveSettings
    from av_tagger.live.sources import SourceSettings
    from av_tagger.live.sources.base import StreamSource

T = TypeVar("T")


def _listen(options: ListenOptions) -> int:
    """Listen to a microphone, a stream, a pipe or a file, and say what happens as it happens."""
    from av_tagger.cli.listen_outputs import check, make_outputs
    from av_tagger.cli.session import load_tagger, say
    from av_tagger.live.listener import Listener
    from av_tagger.live.run import LiveRun
    from av_tagger.live.sources import make_source
    from av_tagger.live.sources.reopen import reopened
    from av_tagger.live.threads import use_threads

    source = make_source(options.source, _source_settings(options))
    check(options)
    settings = _live_settings(options)
    tagger = load_tagger(options, options)
    use_threads(tagger.parts.ear, options.threads)
    alarms = _alarms(options, tagger.parts.labels)
    if alarms.rules.waits or alarms.update_seconds:
        settings = replace(settings, update_seconds=options.hop)
    listener = Listener(tagger, settings)
    walled = source.live or options.pace == "real"
    say(_kept_text(options, source), options)
    run = LiveRun(listener, make_outputs(options, listener), alarms, walled=walled)
    with _sigterm_as_interrupt():
        run.run(reopened(source, listener.request))
    return 0


def _source_settings(options: ListenOptions) -> SourceSettings:
    from av_tagger.live.sources import SourceSettings

    return _checked(
        SourceSettings,
        pace=options.pace,
        rate=options.rate,
        format=options.format,
        channels=options.channels,
        packets=options.keep is not None,
        camera=options.camera,
    )


def _live_settings(options: ListenOptions) -> LiveSettings:
    from av_tagger.live.listener import LiveSettings

    return _checked(
        LiveSettings,
        windows=options.windows,
        hop_seconds=options.hop,
        look_seconds=options.look,
        seconds=options.seconds or not options.json,
    )


def _checked(kind: type[T], **values: Any) -> T:
    """Settings; what is wrong with them is an error of the command line."""
    from av_tagger.errors import UsageError

    try:
        return kind(**values)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _alarms(options: ListenOptions, labels: tuple[str, ...]) -> AlarmFilter:
    from av_tagger.live.alarms import AlarmFilter, AlarmRules, read_rules

    rules = AlarmRules() if options.alarms is None else read_rules(options.alarms, labels)
    return AlarmFilter(rules, options.updates)


def _kept_text(options: ListenOptions, source: StreamSource) -> str:
    """What stays of the stream when it is over."""
    if options.keep is None:
        return "nothing is recorded: sound and pictures are dropped as they are scored"
    what, muted = "the sound around each event is kept", ", speech silenced"
    if getattr(source, "packets", False):
        what = "sound and pictures of the source around each event are kept as they came"
        muted = ", speech silenced and the sound encoded again"
    return f"{what} in {options.keep}{muted if options.mute_speech else ''}"


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """A service that is stopped ends as with Ctrl-C: open events are closed."""

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


listen = command(ListenOptions, _listen)
