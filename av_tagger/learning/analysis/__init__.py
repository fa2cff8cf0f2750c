"""Analysis of trained runs: metrics per class, instances, figures, ensembles."""
