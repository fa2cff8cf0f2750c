"""Choices that prove nothing, to compare with: evenly in time, k-means, k-medoids."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from av_tagger.errors import MissingExtra
from av_tagger.video.sparse_coding import plain
from av_tagger.video.sparse_coding.problem import Matrix, Rows, evenly, fill_by_coverage


def uniform(D: Matrix, count: int) -> Rows:
    return evenly(len(D), count)


def kmedoids(D: Matrix, count: int) -> Rows:
    """Greedy start and swaps (FasterPAM's local optimum), without a bound."""
    return np.sort(plain.swap(D, plain.greedy(D, count))[0])


def kmeans(D: Matrix, count: int) -> Rows:
    """k-means on coordinates that have the distances D (for distances of features: on the
    features); each centre's nearest frame.
    """
    points = embedded(D)
    try:
        from sklearn.cluster import KMeans
    except Exception as error:
        raise MissingExtra(
            f"scikit-learn cannot be loaded ({error}); "
            "install it, or use the default solver 'sparse'"
        ) from error
    distinct = len(np.unique(points.round(9), axis=0))
    centres = (
        KMeans(n_clusters=min(count, distinct), n_init=4, random_state=0)
        .fit(points)
        .cluster_centers_
    )
    far = ((points[None] - centres[:, None]) ** 2).sum(axis=2)
    return fill_by_coverage(D, np.unique(far.argmin(axis=1)), count)


def embedded(D: Matrix) -> NDArray[np.float64]:
    """Classical scaling: coordinates whose distances are D, as far as D (made symmetric) is
    Euclidean.
    """
    square = (0.5 * (D + D.T)) ** 2
    centred = -0.5 * (square - square.mean(axis=0) - square.mean(axis=1)[:, None] + square.mean())
    values, vectors = np.linalg.eigh(centred)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
