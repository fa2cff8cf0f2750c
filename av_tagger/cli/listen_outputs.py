"""The outputs of `av-tag listen`, from its flags."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

from av_tagger.cli.output import print_error
from av_tagger.errors import UsageError

if TYPE_CHECKING:
    from av_tagger.cli.listen_options import ListenOptions
    from av_tagger.live.listener import Listener
    from av_tagger.live.run import LiveOutput
    from av_tagger.reports.schema.day import StreamHead


def check(options: ListenOptions) -> None:
    """Refuse what cannot work before anything is loaded."""
    from av_tagger.live.outputs.mqtt import parse_address

    if options.mqtt is not None:
        parse_address(options.mqtt)
    if options.webhook is not None and not options.webhook.startswith(("http://", "https://")):
        raise UsageError(f"{options.webhook}: is not the address of a webhook; write http://...")
    if options.on_event is not None and not _words(options.on_event):
        raise UsageError("--on-event needs a program")
    if options.mute_speech and options.keep is None:
        raise UsageError("--mute-speech applies to kept clips; add --keep FOLDER")


def make_outputs(options: ListenOptions, listener: Listener) -> list[LiveOutput]:
    """Standard output first, so that nothing else delays it."""
    outputs: list[LiveOutput] = [_screen(options), *_files(options, listener)]
    if options.on_event is not None:
        from av_tagger.live.outputs.delivery import command_output

        outputs.append(command_output(_words(options.on_event), _complain))
    if options.webhook is not None:
        from av_tagger.live.outputs.delivery import webhook_output

        outputs.append(webhook_output(options.webhook, _complain))
    if options.mqtt is not None:
        from av_tagger.live.outputs.mqtt import MqttOutput, parse_address

        outputs.append(MqttOutput(parse_address(options.mqtt), listener.labels))
    return outputs


def _screen(options: ListenOptions) -> LiveOutput:
    """JSON lines, the live view in a terminal, or plain lines."""
    from av_tagger.cli.console import stdout_console
    from av_tagger.live.outputs.text import JsonLines, PlainLines
    from av_tagger.live.outputs.view import LiveView

    if options.json:
        return JsonLines(sys.stdout)
    if sys.stdout.isatty():
        return LiveView(stdout_console(), options.source)
    return PlainLines(sys.stdout, seconds=options.seconds)


def _files(options: ListenOptions, listener: Listener) -> list[LiveOutput]:
    from av_tagger.live.outputs.files import DailyJournal, GrowingCaptions
    from av_tagger.live.outputs.keep import SPEECH, KeepSettings, KeptClips

    outputs: list[LiveOutput] = []
    if options.vtt is not None:
        outputs.append(GrowingCaptions(options.vtt))
    if options.journal is not None:
        outputs.append(DailyJournal(options.journal, _head(options, listener)))
    if options.keep is not None:
        if options.mute_speech and not set(SPEECH) & set(listener.labels):
            raise UsageError(
                "--mute-speech needs an ear that knows speech: --ear yamnet --classes all"
            )
        limit = int(options.keep_limit * 1e6)
        settings = KeepSettings(
            options.keep, options.before, options.after, limit, options.mute_speech
        )
        outputs.append(KeptClips(settings, listener.rate))
    return outputs


def _head(options: ListenOptions, listener: Listener) -> StreamHead:
    from av_tagger.live.sources.container import shown
    from av_tagger.reports.schema.day import StreamHead

    ear, eye = listener.tagger.branches
    return StreamHead(shown(options.source), ear, eye, listener.tagger.parts.run)


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise UsageError(f"--on-event {command!r}: {error}") from error


def _complain(text: str) -> None:
    print_error(text)
