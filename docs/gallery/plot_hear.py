"""
A scene whose labels are true
=============================

``av_tagger.synth`` makes sound scenes by code. Every event's class, onset and offset are exact,
which is useful for tests and for a first look at an ear.
"""

# %%
# Make a scene and list what happens in it:
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.io import wavfile

import av_tagger
from av_tagger.synth import scene

made = scene(7)
for event in made.events:
    print(f"{event.label}: {event.start:.1f}-{event.end:.1f} s")

# %%
# Tag it with the starter ear:
path = Path(tempfile.mkdtemp()) / "scene.wav"
wavfile.write(path, made.rate, made.samples.astype(np.float32))
tagger = av_tagger.load(only="ear", ear="starter", offline=True)
tagged = tagger.tag(path)
for tag in tagged.tags:
    print(f"{tag.label} {tag.probability:.2f}")
found = {tag.label for tag in tagged.tags} & {event.label for event in made.events}
print(f"{len(found)} of {len(made.events)} found")

# %%
# The scene, with what happens in it above; a blue bar is a sound that was found:
figure, (bars, sound) = plt.subplots(2, 1, figsize=(8, 5), sharex=True, height_ratios=(1, 3))
for row, event in enumerate(made.events):
    colour = "tab:blue" if event.label in found else "lightgray"
    bars.broken_barh([(event.start, event.end - event.start)], (row - 0.4, 0.8), color=colour)
bars.set_yticks(range(len(made.events)), [event.label for event in made.events])
bars.invert_yaxis()
sound.specgram(made.samples, NFFT=1024, Fs=made.rate, noverlap=512, cmap="magma")
sound.set(xlabel="seconds", ylabel="Hz", xlim=(0, len(made.samples) / made.rate))
plt.tight_layout()
plt.show()
