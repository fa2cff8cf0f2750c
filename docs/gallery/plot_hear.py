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

# %%
plt.specgram(made.samples, NFFT=1024, Fs=made.rate, noverlap=512)
for event in made.events:
    plt.hlines(made.rate / 2 * 0.96, event.start, event.end, color="white", linewidth=4)
plt.xlabel("seconds")
plt.ylabel("Hz")
plt.show()
