"""Fuzzing: mutated files of every kind that is read; each must be one sentence or a result."""
