"""What readers need of the pages: contrast, headings in order, names of controls, widths."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from av_tagger.collection.page import hits_page
from av_tagger.collection.search import Found, FoundEvent, Hit
from av_tagger.reports.arena import arena_page
from av_tagger.reports.html import write_site
from av_tagger.reports.html.markup import asset
from av_tagger.review.page import review_page
from av_tagger.scores import Outcome, Tagged
from tests.reports.test_arena_page import ROW

READABLE = 4.5  # WCAG 2 AA for text
TEXTS = ("ink", "soft", "accent", "bad")
ON_CARDS = tuple(f"c{n}" for n in range(8))


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it; of #rrggbb or of a computed colour."""
    numbers = (
        [int(colour[n : n + 2], 16) for n in (1, 3, 5)]
        if colour.startswith("#")
        else [float(part) for part in re.findall(r"[\d.]+", colour)[:3]]
    )
    parts = [number / 255 for number in numbers]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def schemes(sheet: str) -> dict[str, dict[str, str]]:
    """The colours of a style sheet by name, in the light and the dark scheme."""
    light, dark = re.findall(r":root \{(.*?)\}", asset(sheet), flags=re.DOTALL)
    both = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})\b", text)) for text in (light, dark)]
    return {"light": both[0], "dark": both[0] | both[1]}


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "rgb(255, 255, 255)") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("sheet", ["style.css", "review.css"])
def test_text_can_be_read_on_every_ground(sheet: str, scheme: str) -> None:
    colours = schemes(sheet)[scheme]
    grounds = [name for name in ("paper", "card", "well") if name in colours]
    pairs = [(text, ground) for text in TEXTS for ground in grounds]
    if sheet == "style.css":
        pairs += [(hue, ground) for hue in ON_CARDS for ground in ("card", "paper")]
        pairs += [("warn", "warn-well"), ("warn", "card"), ("paper", "accent"), ("paper", "ink")]
    assert len(pairs) >= 8
    low = {pair: contrast(*(colours[name] for name in pair)) for pair in pairs}
    assert {pair: round(value, 2) for pair, value in low.items() if value < READABLE} == {}


class Outline(HTMLParser):
    """Headings, controls without a name, pictures without a text, and ids of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.headings: list[int] = []
        self.nameless: list[str] = []
        self.ids: list[str] = []
        self.referred: list[str] = []
        self.open: list[tuple[str, bool]] = []  # buttons and links, and whether they have a name
        self.labels = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        named = bool(given.get("aria-label") or given.get("aria-labelledby"))
        self.ids += [given["id"] or ""] if "id" in given else []
        for name in ("aria-labelledby", "aria-describedby", "aria-controls"):
            self.referred += (given.get(name) or "").split()
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "label":
            self.labels += 1
        if tag == "img":
            self.nameless += [] if given.get("alt") else [f"img {given}"]
        if tag in ("input", "select") and not named and not self.labels:
            self.nameless.append(f"{tag} {given}")
        if given.get("role") == "slider" and not named:
            self.nameless.append(f"slider {given}")
        if tag in ("button", "a"):
            self.open.append((f"{tag} {given}", named))

    def handle_data(self, data: str) -> None:
        if data.strip() and self.open:
            self.open[-1] = (self.open[-1][0], True)

    def handle_endtag(self, tag: str) -> None:
        if tag == "label":
            self.labels -= 1
        if tag in ("button", "a"):
            what, named = self.open.pop()
            self.nameless += [] if named or "shot" in what else [what]


def found_page(folder: Path) -> str:
    """The page of a search with one hit."""
    event = FoundEvent("Dog", 1.0, 2.0, 0.9)
    hit = Hit("run", "a_film.mp4", 0.0, None, 10.0, 0.0, 0.9, (("Dog", 0.9),), (event,))
    return hits_page("dog", [], Found(1, (hit,)), folder / "find.html")


@pytest.fixture
def pages(sample: list[Outcome], tmp_path: Path) -> dict[str, str]:
    write_site(sample, tmp_path)
    made = {path.name: path.read_text() for path in tmp_path.rglob("*.html")}
    made["arena"] = arena_page([ROW])
    made["find"] = found_page(tmp_path)
    made["review"] = review_page(["Bus", "Car"], "me")
    return {
        name: re.sub(r"<(style|script)\b.*?</\1>", "", text, flags=re.DOTALL)
        for name, text in made.items()
    }


def test_headings_are_in_order_and_controls_have_names(pages: dict[str, str]) -> None:
    assert len(pages) == 7
    for name, text in pages.items():
        outline = Outline(text)
        assert outline.headings[0] == 1, name
        assert outline.headings.count(1) == 1, name
        steps = zip(outline.headings, outline.headings[1:], strict=False)
        assert all(after <= before + 1 for before, after in steps), (name, outline.headings)
        assert outline.nameless == [], name
        assert len(set(outline.ids)) == len(outline.ids), name
        assert set(outline.referred) <= set(outline.ids), name
        assert '<html lang="en"' in text


def test_the_timeline_is_a_slider_with_its_value(pages: dict[str, str]) -> None:
    """Its range is the film's; the script keeps the value and its text up to date."""
    (slider,) = re.findall(r'<div[^>]*role="slider"[^>]*>', pages["street_corner.html"])
    for name, value in (("min", "0.0"), ("max", "10.0"), ("now", "0.0")):
        assert f'aria-value{name}="{value}"' in slider
    assert 'tabindex="0"' in slider
    assert 'aria-label="Position in the file"' in slider
    assert 'setAttribute("aria-valuetext"' in asset("page.js")


# A text's colour over what is below it, layer by layer; texts over pictures are left out.
_PALE = """
(() => {
  const numbers = (c) => c.match(/[\\d.]+/g).map(Number);
  const over = ([r, g, b, a = 1], under) => [r, g, b].map((c, i) => c * a + under[i] * (1 - a));
  const ground = (e) => {
    const layers = [];
    for (; e; e = e.parentElement) layers.push(numbers(getComputedStyle(e).backgroundColor));
    return layers.reduceRight((under, layer) => over(layer, under), [255, 255, 255]);
  };
  const level = (c) => c.map((x) => x / 255)
    .map((x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4))
    .reduce((sum, x, i) => sum + x * [0.2126, 0.7152, 0.0722][i], 0);
  const found = [];
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    const hidden = !e.checkVisibility({ opacityProperty: true });
    if (!own || hidden || e.closest(".shot, svg, script, style, noscript")) continue;
    const below = ground(e), style = getComputedStyle(e);
    const shown = over(numbers(style.color), below).map(
      (c, i) => c * Number(style.opacity) + below[i] * (1 - Number(style.opacity)));
    const [low, high] = [level(shown), level(below)].sort((a, b) => a - b);
    const ratio = (high + 0.05) / (low + 0.05);
    found.push([ratio, `${e.tagName} ${e.className} ${e.textContent.trim().slice(0, 40)}`]);
  }
  return found;
})()
"""


@pytest.mark.browser
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390, 320])
def test_a_page_fits_its_screen_and_can_be_read(
    tagged: Tagged, tmp_path: Path, browser: Any, width: int, dark: bool
) -> None:
    write_site([tagged], tmp_path)
    (tmp_path / "arena.html").write_text(arena_page([ROW]))
    pages = [*tmp_path.glob("*.html"), *(tmp_path / "pages").iterdir()]
    assert len(pages) == 3
    for path in pages:
        browser.open(path.as_uri(), (width, 800), dark=dark, phone=width < 600)
        assert browser.js("document.documentElement.scrollWidth") <= width
        ink, paper = (
            browser.js(f"getComputedStyle(document.body).{name}")
            for name in ("color", "backgroundColor")
        )
        assert (luminance(ink) > luminance(paper)) is dark
        assert contrast(ink, paper) > 7  # WCAG AAA
        texts = browser.js(_PALE)
        assert len(texts) > 10
        assert [text for ratio, text in texts if ratio < READABLE] == []
