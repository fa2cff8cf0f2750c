"""Sound captions as subtitlers write them, merged into existing subtitles."""

from av_tagger.reports.captioning.loudness import SoundLevels, measure_levels
from av_tagger.reports.captioning.merge import Merged, merge_captions
from av_tagger.reports.captioning.settings import CaptionSettings
from av_tagger.reports.captioning.sounds import SoundCaption, sound_captions
from av_tagger.reports.captioning.subtitles import (
    Subtitle,
    SubtitleFile,
    read_subtitles,
    render_subtitles,
    write_subtitles,
)
from av_tagger.reports.captioning.words import CaptionWords, caption_words, languages

__all__ = [
    "CaptionSettings",
    "CaptionWords",
    "Merged",
    "SoundCaption",
    "SoundLevels",
    "Subtitle",
    "SubtitleFile",
    "caption_words",
    "languages",
    "measure_levels",
    "merge_captions",
    "read_subtitles",
    "render_subtitles",
    "sound_captions",
    "write_subtitles",
]
