"""HTML reports: one self-contained page per media file, and an index over many."""

from av_tagger.reports.html.player import PageOptions
from av_tagger.reports.html.site import (
    PageSource,
    read_page_sources,
    write_page,
    write_pages,
    write_site,
)

__all__ = [
    "PageOptions",
    "PageSource",
    "read_page_sources",
    "write_page",
    "write_pages",
    "write_site",
]
