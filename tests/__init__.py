"""The tests: one folder per package of `av_tagger`; made media in `assets`, fakes in `fakes`."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
