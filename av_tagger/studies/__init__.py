"""Studies: the programs that made a shipped weights file or a published figure."""
