"""DCASE 2017 task 4: clip names, lists, ground truth, submissions, and finding the clips."""

from av_tagger.dcase.find import FoundClips, find_clips
from av_tagger.dcase.names import ClipName, clip_key, parse_name, public_name
from av_tagger.dcase.submission import Submission, from_outcomes, write_events, write_tags
from av_tagger.dcase.tables import (
    ListedClip,
    SoundEvent,
    read_class_list,
    read_download_list,
    read_list,
    read_strong,
    read_submission,
    read_weak,
)

__all__ = [
    "ClipName",
    "FoundClips",
    "ListedClip",
    "SoundEvent",
    "Submission",
    "clip_key",
    "find_clips",
    "from_outcomes",
    "parse_name",
    "public_name",
    "read_class_list",
    "read_download_list",
    "read_list",
    "read_strong",
    "read_submission",
    "read_weak",
    "write_events",
    "write_tags",
]
