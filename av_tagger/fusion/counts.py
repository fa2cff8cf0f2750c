"""Counts of decisions against the truth, for fitting: the class of `av_tagger.metrics`."""

from av_tagger.metrics import Counts

__all__ = ["Counts"]
