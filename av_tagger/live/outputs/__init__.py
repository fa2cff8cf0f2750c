"""Outputs of a live run: each takes every line and does one thing with it."""
