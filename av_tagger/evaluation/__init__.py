"""Scoring of results against ground truth. Nothing here runs a model."""
