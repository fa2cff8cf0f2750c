"""The ear: waveforms in, probabilities per class and a timeline out. Imports nothing here."""
