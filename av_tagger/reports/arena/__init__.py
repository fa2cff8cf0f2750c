"""What the arena found, as an HTML page and as a section of a model card."""

from av_tagger.reports.arena.card import arena_card, put_section
from av_tagger.reports.arena.page import arena_page

__all__ = ["arena_card", "arena_page", "put_section"]
