"""Figures of one clip: spectrogram, timeline, key frames, and any table over time."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from av_tagger.reports.plots.figure import CYCLE, SOFT, grid, single, tidy_bar
from av_tagger.reports.spectrogram import SpectrogramSettings, band_of, levels, mel_peaks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from av_tagger.clip import Waveform
    from av_tagger.scores import KeyFrame, Tag, Tagged

_MARKED_HZ = (200, 1_000, 4_000, 10_000)


def timeline(tagged: Tagged, waveform: Waveform | None = None) -> Figure:
    """A lane per tag with its activity and events, key frames below, the spectrogram on top."""
    start, end = tagged.clip.start_seconds, tagged.clip.start_seconds + tagged.duration_seconds
    heights = ([1.8] if waveform is not None else []) + [1.0] * max(1, len(tagged.tags))
    with grid(9.0, 0.95 * sum(heights) + 0.9, heights) as (figure, panels):
        lanes = list(panels)
        if waveform is not None:
            _spectrogram(lanes.pop(0), waveform)
        for number, (axes, tag) in enumerate(zip(lanes, tagged.tags, strict=False)):
            _lane(axes, tagged, tag, CYCLE[number % len(CYCLE)])
        for keyframe in tagged.keyframes:
            style = {"marker": "D", "color": SOFT, "markersize": 6, "clip_on": False, "zorder": 5}
            lanes[-1].plot(keyframe.seconds, 0, **style)  # type: ignore[arg-type]
        legend = " (diamonds: key frames)" if tagged.keyframes else ""
        lanes[-1].set(xlim=(start, end), xlabel=f"seconds{legend}")
    return figure


def _lane(axes: Axes, tagged: Tagged, tag: Tag, colour: str) -> None:
    for event in tag.events:
        axes.axvspan(event.start, event.end, color=colour, alpha=0.18, linewidth=0)
    activity = tagged.activity
    if activity is not None:
        values = activity.values[:, tuple(tagged.scores).index(tag.label)]
        times = activity.start_seconds + (np.arange(len(values)) + 0.5) / activity.rate
        axes.fill_between(times, values, color=colour, alpha=0.3, linewidth=0)
        axes.plot(times, values, color=colour, linewidth=1.4)
    axes.set(ylim=(0, 1.05), yticks=[0, 1], ylabel="activity")
    axes.set_title(f"{tag.label}, probability {tag.probability:.2f}", fontsize=10)


def sound(waveform: Waveform) -> Figure:
    """The mel spectrogram of a waveform."""
    with single(9.0, 2.4) as (figure, axes):
        _spectrogram(axes, waveform)
        axes.set_xlabel("seconds")
    return figure


def _spectrogram(axes: Axes, waveform: Waveform) -> None:
    settings = SpectrogramSettings()
    shown = levels(mel_peaks(waveform, settings), settings)
    begin = waveform.start_seconds
    axes.imshow(
        shown,
        origin="lower",
        aspect="auto",
        extent=(begin, begin + waveform.duration_seconds, 0.0, float(settings.bands)),
        cmap="magma",
        vmin=0,
        vmax=1,
        interpolation="nearest",
    )
    marks = [hz for hz in _MARKED_HZ if hz <= min(settings.highest_hz, waveform.rate / 2)]
    names = [f"{hz / 1000:g}" for hz in marks]
    axes.set_yticks([band_of(hz, settings, waveform.rate) for hz in marks], names)
    axes.set_ylabel("frequency in kHz")


def heat(
    table: ArrayLike,
    title: str,
    ylabel: str,
    names: Sequence[str] = (),
    *,
    rate: float | None = None,
    unit: str = "",
) -> Figure:
    """Any (frames, rows) table over time, such as log-mel features; bright is high.

    With `names` each row carries its name, such as that of a class. With `rate`, in frames per
    second, the time axis is in seconds. `unit` says what the colours mean.
    """
    values = np.asarray(table, dtype=np.float64).T
    rows, frames = values.shape
    end = frames / rate if rate else frames - 0.5
    extent = (0.0 if rate else -0.5, end, -0.5, rows - 0.5)
    with single(9.0, max(2.6, 0.2 * len(names))) as (figure, axes):
        style = {"origin": "lower", "aspect": "auto", "interpolation": "nearest", "extent": extent}
        image = axes.imshow(values, cmap="magma", **style)  # type: ignore[arg-type]
        axes.set(title=title, xlabel="seconds" if rate else "frames", ylabel=ylabel)
        if names:
            axes.set_yticks(range(len(names)), names, fontsize=8)
        tidy_bar(figure, image, axes, pad=0.01, label=unit)
    return figure


def pairs(table: ArrayLike, title: str, rate: float, unit: str = "") -> Figure:
    """An (n, n) table of pairs of frames, such as their distances; both axes in seconds."""
    values = np.asarray(table, dtype=np.float64)
    end = len(values) / rate
    with single(5.2, 4.4) as (figure, axes):
        extent = (0.0, end, 0.0, end)
        image = axes.imshow(
            values, cmap="magma", origin="lower", interpolation="nearest", extent=extent
        )
        axes.set(title=title, xlabel="seconds", ylabel="seconds")
        tidy_bar(figure, image, axes, pad=0.02, label=unit)
    return figure


def contact_sheet(keyframes: Sequence[KeyFrame]) -> Figure:
    """The key frames side by side, with time, weight and the recognised objects."""
    from matplotlib import image as pictures

    count = max(1, len(keyframes))
    lines_below = max((min(3, len(k.objects)) for k in keyframes), default=0)
    with grid(2.9 * count, 1.95 + 0.2 * lines_below, [1.0], count) as (figure, panels):
        for axes in panels:
            axes.axis("off")
        for axes, keyframe in zip(panels, keyframes, strict=False):
            if keyframe.picture is not None:
                axes.imshow(pictures.imread(io.BytesIO(keyframe.picture), format="jpeg"))
            title = f"{keyframe.seconds:.1f} s   {keyframe.weight:.0%} of the clip"
            axes.set_title(title, fontsize=9)
            lines = "\n".join(f"{name}  {share:.2f}" for name, share in keyframe.objects[:3])
            style = {"va": "top", "fontsize": 9, "color": SOFT}
            axes.text(0, -0.04, lines, transform=axes.transAxes, **style)  # type: ignore[arg-type]
    return figure
