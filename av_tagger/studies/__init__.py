"""Programs that made a shipped weights file or a published figure; each has a command line."""
