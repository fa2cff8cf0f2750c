"""Colours of the terminal: each can be read on a white and on a black background."""

from __future__ import annotations

# Of the 256 colours of terminals, some with a contrast of at least 4 with white and with black.
QUIET = "color(243)"  # grey: details
NAME = "bold color(30)"  # teal: tags
BAR = "color(30)"
GOOD = "color(28)"  # green
WARNING = "color(130)"  # brown
ERROR = "color(161)"  # red
STRONG = "bold"

OF_RICH = {  # what rich would draw in colours that vanish on one of the two
    **dict.fromkeys(("bar.back", "table.caption", "progress.elapsed", "progress.remaining"), QUIET),
    **dict.fromkeys(("progress.download", "progress.filesize", "progress.filesize.total"), QUIET),
    **dict.fromkeys(("progress.data.speed", "progress.percentage"), QUIET),
    **dict.fromkeys(("bar.complete", "bar.pulse", "progress.spinner", "status.spinner"), BAR),
    "bar.finished": GOOD,
    "table.title": STRONG,
    "table.header": STRONG,
}
