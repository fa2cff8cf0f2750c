"""The ear: waveforms in, a probability per class and a timeline out. Nothing is imported here, so that events need no torch."""
