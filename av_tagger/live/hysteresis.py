"""Events of a growing timeline: those that `find_events` finds in the whole, once certain."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from av_tagger.audio.events import TOLERANCE, EventSettings

MOST_LATE = 2000  # changes per class that wait for their class to be allowed


@dataclass
class HeldEvent:
    """An event that exceeded `high`; it may still grow, or be joined with the next run."""

    start: int  # frames
    end: int
    peak: float
    allowed: bool = False
    opened: bool = False


@dataclass
class _ClassState:
    run_start: int | None = None
    run_peak: float = -np.inf
    held: HeldEvent | None = None
    growing: bool = False  # the held event is the current run

    @property
    def idle(self) -> bool:
        return self.run_start is None and self.held is None


@dataclass(frozen=True)
class Change:
    """An event that began or ended: frames of the timeline, `end` is exclusive."""

    column: int
    start: int
    end: int
    peak: float
    closed: bool


@dataclass
class Hysteresis:
    """Takes frames (n, classes) in order; returns openings and closings."""

    settings: EventSettings
    rate: float
    high: NDArray[np.float64]  # (classes,)
    patient: bool = False  # events of a class are reported once it was allowed, earlier ones too
    next_frame: int = 0
    _states: dict[int, _ClassState] = field(default_factory=dict)
    _late: dict[int, list[Change]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ratio = self.settings.low / self.settings.high if self.settings.high > 0 else 1.0
        self._low = self.high * ratio
        self._gap = self.settings.gap_seconds * self.rate - TOLERANCE
        self._least = self.settings.minimum_seconds * self.rate - TOLERANCE
        self._ever = np.zeros(len(self.high), bool)

    def push(self, values: NDArray[np.floating], allowed: NDArray[np.bool_]) -> list[Change]:
        """`allowed`: classes whose held events may be reported, from now until they end."""
        known = np.where(np.isnan(values), -np.inf, values.astype(np.float64))
        active = np.flatnonzero((known >= self._low).any(axis=0)).tolist()
        changes: list[Change] = []
        if self.patient:
            self._ever |= allowed
            allowed = self._ever
            for column in [k for k in self._late if allowed[k]]:
                changes += self._late.pop(column)
        for column in sorted({*active, *self._states}):
            state = self._states.setdefault(column, _ClassState())
            may = bool(allowed[column])
            if state.held is not None:
                state.held.allowed |= may
            for offset, value in enumerate(known[:, column]):
                changes += self._step(column, state, self.next_frame + offset, float(value), may)
            changes += self._opening(column, state)
            if state.idle:
                del self._states[column]
        self.next_frame += len(known)
        return changes

    def finish(self) -> list[Change]:
        """Close what is open: the timeline has ended."""
        changes = []
        for column, state in sorted(self._states.items()):
            if state.held is not None:
                changes += self._close(column, state)
        self._states.clear()
        return changes

    def open_events(self) -> dict[int, HeldEvent]:
        """Events that were opened and not closed, by class."""
        return {k: s.held for k, s in self._states.items() if s.held is not None and s.held.opened}

    def _step(
        self, column: int, state: _ClassState, frame: int, value: float, may: bool
    ) -> list[Change]:
        changes: list[Change] = []
        if value >= self._low[column]:
            if state.run_start is None:
                state.run_start, state.run_peak = frame, value
            state.run_peak = max(state.run_peak, value)
            if state.growing and state.held is not None:
                state.held.end, state.held.peak = frame + 1, max(state.held.peak, value)
            elif state.run_peak >= self.high[column]:
                changes += self._qualify(column, state, frame, may)
        else:
            state.run_start, state.run_peak, state.growing = None, -np.inf, False
        if state.held is not None and not state.growing:
            begins = frame + 1 if state.run_start is None else state.run_start
            if begins - state.held.end >= self._gap:
                changes += self._close(column, state)
        return changes

    def _qualify(self, column: int, state: _ClassState, frame: int, may: bool) -> list[Change]:
        """The current run has exceeded `high`: it continues the held event, or is a new one."""
        assert state.run_start is not None
        changes: list[Change] = []
        if state.held is not None and state.run_start - state.held.end >= self._gap:
            changes = self._close(column, state)
        if state.held is None:
            state.held = HeldEvent(state.run_start, frame + 1, state.run_peak, may)
        state.held.end = frame + 1
        state.held.peak = max(state.held.peak, state.run_peak)
        state.growing = True
        return changes

    def _opening(self, column: int, state: _ClassState) -> list[Change]:
        held = state.held
        if held is None or held.opened or not held.allowed or not self._long_enough(held):
            return []
        held.opened = True
        return [Change(column, held.start, held.end, held.peak, closed=False)]

    def _close(self, column: int, state: _ClassState) -> list[Change]:
        held, state.held, state.growing = state.held, None, False
        assert held is not None
        if not self._long_enough(held):
            return []
        closing = Change(column, held.start, held.end, held.peak, closed=True)
        opening = Change(column, held.start, held.end, held.peak, closed=False)
        changes = [closing] if held.opened else [opening, closing]
        if held.allowed:
            return changes
        if self.patient:
            late = self._late.setdefault(column, [])
            late += changes
            del late[:-MOST_LATE]
        return []

    def _long_enough(self, held: HeldEvent) -> bool:
        return held.end - held.start >= self._least
