"""One file per library that can decode; nothing else may stand here."""
