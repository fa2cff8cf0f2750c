"""The learning room: weakly labelled clips go in, a trained ear with its thresholds and a run card comes out."""
