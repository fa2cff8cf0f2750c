"""`python -m av_tagger.video.sparse_coding.warm`: compiles the search into the cache, quietly and
at low priority.
"""

from __future__ import annotations

import sys
from pathlib import Path

from av_tagger.systems import lower_priority
from av_tagger.video.sparse_coding import compiled


def main(notes: list[str]) -> int:
    lower_priority(5)
    done = compiled.warm()
    for note in notes:
        Path(note).unlink(missing_ok=True)
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
