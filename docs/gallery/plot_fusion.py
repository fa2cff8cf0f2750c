"""
Ear against eye, class by class
===============================

How much should the ear count for each class? ``FusionFitter`` fits a weight and thresholds per
class to scores whose truth is known, here for the linear fusion ``joint``. The scores are made up:
the ear hears well, the eye sees some classes well and others not at all.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np

from av_tagger.fusion.fit import FitSettings, FusionFitter

random = np.random.default_rng(0)
labels = ("Bus", "Train horn", "Screaming")
truth = random.random((400, 3)) < 0.3
heard = np.clip(truth * 0.3 + random.normal(0.35, 0.2, truth.shape), 0, 1)
visible = np.array([0.45, 0.15, 0.0])  # how much the picture says about each class
seen = np.clip(truth * visible + random.normal(0.35, 0.15, truth.shape), 0, 1)

# %%
fusion = FusionFitter(FitSettings("joint")).fit(heard, seen, truth, labels).fusion_
for label, weight in zip(labels, fusion.weights, strict=True):
    print(f"{label}: the ear counts {weight:.0%}")

# %%
plt.bar(labels, fusion.weights)
plt.xlabel("class")
plt.ylabel("share of the ear (the rest is the eye's)")
plt.ylim(0, 1)
plt.show()
