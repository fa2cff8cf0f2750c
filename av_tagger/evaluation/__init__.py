"""Scoring answers against the truth; no model is ever run here."""
