"""Live tagging: blocks of sound and frames in as they arrive, events out as they happen."""
