"""Benchmarks: `python -m av_tagger.bench.<name>` prints what this machine measures."""
