"""Training data: labelled clips, stored waveforms and embeddings, bags, batches, augmentation."""
