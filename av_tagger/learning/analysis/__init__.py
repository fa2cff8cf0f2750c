"""What a training run has learned: per-class figures, ensembles, plots."""
