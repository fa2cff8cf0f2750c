"""Figures: functions of results, scores and fusion weights that return a Matplotlib figure."""

from av_tagger.reports.plots.clip import contact_sheet, heat, pairs, sound, timeline
from av_tagger.reports.plots.figure import CYCLE, png, save
from av_tagger.reports.plots.fusion import class_f1, cost_map, weight_curves, weight_map
from av_tagger.reports.plots.scores import confusion, precision_recall, threshold_curves

__all__ = [
    "CYCLE",
    "class_f1",
    "confusion",
    "contact_sheet",
    "cost_map",
    "heat",
    "pairs",
    "png",
    "precision_recall",
    "save",
    "sound",
    "threshold_curves",
    "timeline",
    "weight_curves",
    "weight_map",
]
