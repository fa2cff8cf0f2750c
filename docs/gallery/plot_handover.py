"""
Markers for an editor
=====================

``av-tag handover`` writes the events of a result as markers on the timeline of a video editor. Here
the demo's scene, whose events are known exactly, becomes such a timeline and the list (EDL) that
DaVinci Resolve reads.
"""

# %%
# A result with the scene's true times and made peaks, and its timeline at 25 frames per second:
from pathlib import Path

import matplotlib.pyplot as plt

from av_tagger.bench.demo_run import made_result
from av_tagger.reports.timecode import parse_rate
from av_tagger.reports.writers.edl import COLOURS, edl
from av_tagger.reports.writers.timeline import film_timeline, timeline_settings
from av_tagger.synth.pictures import demo_scene

scene, frames, fps = demo_scene(106)
pictures = list(frames)
result = made_result(scene, Path("street.mp4"), seed=106)
film = film_timeline(result, timeline_settings(parse_rate("25"), "01:00:00:00"))

# %%
# The file that ``--format edl`` writes. ``D`` is the length of a marker in frames:
text = edl(film)
print(text)

# %%
# The markers over the film, in the colours that the file names:
figure, (strip, track) = plt.subplots(2, 1, figsize=(9, 3.2), sharex=True, height_ratios=(1, 1.3))
count = 8
for number in range(count):
    left, right = (film.frames * n / count for n in (number, number + 1))
    picture = pictures[int(len(pictures) * (number + 0.5) / count)]
    strip.imshow(picture, extent=(left, right, 0, 1), aspect="auto")
strip.set_yticks([])

labels = sorted({marker.label for marker in film.markers})
shades = {"Cyan": "#22b8c8", "Blue": "#2f6fdb", "Green": "#3d9a4b"}
for row, marker in enumerate(film.markers):
    colour = shades[COLOURS[labels.index(marker.label)]]
    track.broken_barh([(marker.start, marker.frames)], (row - 0.4, 0.8), color=colour)
    track.text(marker.start + 2, row, marker.note, va="center", color="white", size=8)
track.set_yticks(range(len(film.markers)), [marker.label for marker in film.markers])
track.invert_yaxis()
ticks = range(0, film.frames + 1, 50)
track.set_xticks(ticks, [film.rate.timecode(film.start + tick) for tick in ticks], size=8)
track.set_xlim(0, film.frames)
plt.tight_layout()
plt.show()
