"""Tests of the studies that made shipped files."""
