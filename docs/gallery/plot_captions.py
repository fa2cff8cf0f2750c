"""
A captioned scene
=================

``av-tag caption`` writes sound captions. Here the demo's scene, whose sounds are known exactly, is
captioned and one frame is drawn as a player shows it.
"""

# %%
# The scene, and a result with its true events:
from pathlib import Path

import matplotlib.pyplot as plt

from av_tagger.clip import Clip, Waveform
from av_tagger.reports.captioning import (
    CaptionSettings,
    SoundLevels,
    caption_words,
    merge_captions,
    render_subtitles,
    sound_captions,
)
from av_tagger.reports.captioning.loudness import frame_powers
from av_tagger.scores import BranchInfo, Event, RunInfo, Status, Tag, Tagged
from av_tagger.synth.pictures import demo_scene

scene, frames, fps = demo_scene(106)
tags = tuple(
    Tag(label, 0.9, 0.5, 0.9, None, tuple(Event(e.start, e.end, 0.9) for e in events))
    for label in dict.fromkeys(event.label for event in scene.events)
    if (events := [e for e in scene.events if e.label == label])
)
seconds = len(scene.samples) / scene.rate
ear, eye = BranchInfo(Status.OK, "truth"), BranchInfo(Status.OFF, "none")
tagged = Tagged(Clip(Path("scene.mp4")), seconds, tags, {}, (), ear, eye, RunInfo("", "", "", 0.0))

# %%
# Its captions, in English:
levels = SoundLevels(frame_powers(Waveform(scene.samples.astype("float32"), scene.rate)))
settings = CaptionSettings()
captions = sound_captions(tagged, caption_words("en"), settings, levels)
merged = merge_captions(captions, settings, duration=seconds)
print("".join(render_subtitles(merged.file)))

# %%
# A frame as a player shows it:
cue = merged.file.cues[0]
pictures = list(frames)
picture = pictures[min(len(pictures) - 1, round((cue.start + cue.end) / 2000 * fps))]
plt.figure(figsize=(8, 4.5))
plt.imshow(picture)
plt.axis("off")
height, width = picture.shape[:2]
box = {"facecolor": "black", "alpha": 0.75, "pad": 6}
plt.text(width / 2, height * 0.9, cue.text, color="white", size=16, ha="center", bbox=box)
plt.tight_layout()
plt.show()

# %%
# And in three other languages:
for language in ("de", "fr", "ja"):
    said = sound_captions(tagged, caption_words(language), settings, levels)
    print(language, *(caption.text for caption in said))
