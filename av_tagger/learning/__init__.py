"""Training of ears on weakly labelled clips: data, recipes, the loop, analysis of runs."""
