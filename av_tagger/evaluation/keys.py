"""One key per clip, so that predictions and ground truth meet whatever the folders are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from av_tagger.clip import Clip
from av_tagger.dcase import ClipName, clip_key, parse_name
from av_tagger.dcase.names import stem_of, video_ids


def key_of(clip: Clip) -> str:
    """The name of a clip; a part of a whole video has the key of the cut clip."""
    if clip.end_seconds is None:
        return clip_key(clip.name)
    start, end = clip.start_seconds, clip.end_seconds
    video = next(iter(video_ids(clip.name)), None)
    if video is None:
        return f"{stem_of(clip.name)}_{start:.3f}_{end:.3f}"
    return str(ClipName(video, start, end))


def keys_of(clips: Sequence[Clip]) -> list[str]:
    """A key per clip. Files of one name in several folders get the folder in front.

    `dog/1.wav` and `cat/1.wav` are two clips; `a/ID_0_10.wav` and `b/ID_0_10.wav` are one.
    """
    keys = [key_of(clip) for clip in clips]
    paths = defaultdict(set)
    for clip, key in zip(clips, keys, strict=True):
        paths[key].add(clip.path)
    return [
        in_folder(clip, key) if len(paths[key]) > 1 and parse_name(key) is None else key
        for clip, key in zip(clips, keys, strict=True)
    ]


def in_folder(clip: Clip, key: str) -> str:
    """The key with the last folder in front."""
    return f"{clip.path.parent.name}/{key}"
