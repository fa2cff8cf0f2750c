"""Ears that others trained on AudioSet, rebuilt here: own networks, strict loading of the published weights."""
