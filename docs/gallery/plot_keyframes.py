"""
Key frames with a proof
=======================

``representatives`` chooses rows of a dissimilarity matrix that represent all others. It solves
the sparse-coding program of the paper exactly and returns a lower bound, so you know how good
the choice is.
"""

# %%
# Sixty "frames" of three scenes, as points in a plane:
import matplotlib.pyplot as plt
import numpy as np

import av_tagger

random = np.random.default_rng(0)
scenes = np.array([[0.0, 0.0], [4.0, 1.0], [2.0, 4.0]])
frames = np.concatenate([scene + random.normal(0, 0.6, (20, 2)) for scene in scenes])
distances = np.linalg.norm(frames[:, None] - frames[None], axis=2)

# %%
# Three representatives, and what they prove:
chosen = av_tagger.representatives(distances, count=3)
print(chosen.rows, f"objective {chosen.objective:.4f}, at least {chosen.lower_bound:.4f}")

# %%
plt.scatter(*frames.T, color="lightgray", label="frames")
plt.scatter(*frames[list(chosen.rows)].T, color="crimson", label="representatives")
plt.xlabel("first feature")
plt.ylabel("second feature")
plt.legend()
plt.show()
