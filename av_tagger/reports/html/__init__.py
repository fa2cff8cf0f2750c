"""Results as pages that people look at: one self-contained HTML file a media file, and an index over many."""

from av_tagger.reports.html.page import PageOptions
from av_tagger.reports.html.site import (
    Exhibit,
    read_exhibits,
    write_exhibits,
    write_page,
    write_site,
)

__all__ = ["Exhibit", "PageOptions", "read_exhibits", "write_exhibits", "write_page", "write_site"]
