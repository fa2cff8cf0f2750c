"""`python -m av_tagger` is the command `av-tag`."""

from __future__ import annotations

from av_tagger.cli.main import main

if __name__ == "__main__":
    main()
