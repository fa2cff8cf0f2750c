"""The command `av-tag`: one module per command, and the help pages."""
