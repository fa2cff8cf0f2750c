"""Published audio networks, rebuilt to load their own weights: EfficientAT and YAMNet."""
