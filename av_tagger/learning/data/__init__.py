"""Data for training: manifests, decoded waveforms, embeddings, bags and batches."""
