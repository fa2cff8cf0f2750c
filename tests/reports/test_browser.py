"""The pages in Chromium and Firefox: no errors, no requests, seeking, sorting, filtering."""

from __future__ import annotations

import io
import itertools
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from av_tagger.clip import Clip, Waveform
from av_tagger.reports.html import PageOptions, write_page, write_site
from av_tagger.reports.spectrogram import SpectrogramSettings, as_png, mel_peaks
from av_tagger.scores import BranchInfo, Event, Failed, Outcome, RunInfo, Status, Tag, Tagged
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.browser


@pytest.fixture
def browser(each_browser: Any) -> Any:
    return each_browser


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds in a codec that every browser plays."""
    av = pytest.importorskip("av")
    path: Path = tmp_path_factory.mktemp("film") / "a film.webm"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 36, "yuv420p"
        for n in range(50):
            frame = av.VideoFrame.from_ndarray(
                np.full((36, 64, 3), 5 * n, np.uint8), format="rgb24"
            )
            frame.pts, frame.time_base = n, Fraction(1, 5)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture
def shown(tagged: Tagged, film: Path, tmp_path: Path, browser: Any) -> Any:
    """A page with film and spectrogram, opened."""
    samples = (np.sin(np.arange(200_000) / 20) * 0.3).astype(np.float32)
    target = tmp_path / "page.html"
    settings = SpectrogramSettings()
    spectrogram = as_png(mel_peaks(Waveform(samples, 20_000), settings), settings)
    write_page(replace(tagged, clip=Clip(film)), target, spectrogram)
    browser.open(target.as_uri())
    browser.wait("document.getElementById('media').readyState > 0")
    return browser


def where(browser: Any) -> float:
    return float(browser.js("document.getElementById('media').currentTime"))


def playhead(browser: Any) -> float:
    """Position of the playhead in percent of the timeline."""
    return float(
        browser.js(
            "(() => { const box = (name) => document.querySelector(name).getBoundingClientRect();"
            " const c = box('.cover'), p = box('.playhead');"
            " return 100 * (p.left + p.width / 2 - c.left) / c.width })()"
        )
    )


def wait_for_playhead(browser: Any, percent: float, tolerance: float = 0.5) -> None:
    """It is drawn a moment after the player has got there."""
    until(
        lambda: abs(playhead(browser) - percent) <= tolerance, f"the playhead is at {percent:g} %"
    )


def middle_of(browser: Any, selector: str, share: float = 0.5) -> tuple[float, float]:
    x, y = browser.js(
        f"(() => {{ const e = document.querySelector({selector!r});"
        " e.scrollIntoView({block: 'center'}); const b = e.getBoundingClientRect();"
        f" return [b.left + {share} * b.width, b.top + b.height / 2] }})()"
    )
    return x, y


def test_a_page_loads_without_errors_and_other_requests(shown: Any, tmp_path: Path) -> None:
    assert shown.complaints() == []
    asked = {url for url in shown.requests() if not url.startswith("data:")}
    names = {url.rpartition("/")[2] for url in asked}
    if shown.name == "chromium":  # Firefox does not tell of files
        assert names == {"page.html", "a%20film.webm"}
    assert all(url.startswith("file:///") for url in asked)
    assert shown.js("document.getElementById('lost').hidden") is True
    pictures = shown.js("[...document.images].map(i => i.complete && i.naturalWidth)")
    assert len(pictures) == 3
    assert all(pictures)


def test_a_click_on_the_timeline_seeks(shown: Any) -> None:
    shown.click(*middle_of(shown, ".cover", 0.7))
    shown.wait("Math.abs(document.getElementById('media').currentTime - 7) < 0.05")
    wait_for_playhead(shown, 70)
    assert shown.js("document.getElementById('lanes').getAttribute('aria-valuetext')") == "0:07.0"
    # 7.0 s is in the second event of the horn: its card is marked, its lane shows the activity.
    assert shown.js("[...document.querySelectorAll('.card.on h3')].map(e => e.textContent)") == [
        "Train horn"
    ]
    assert 0 < float(shown.js("document.querySelector('output.now').textContent")) < 0.6


def test_times_of_events_and_key_frames_seek(shown: Any) -> None:
    for selector, seconds in (("[data-seek='6.000']", 6.0), (".shot[data-seek='3.200']", 3.2)):
        shown.click(*middle_of(shown, selector))
        shown.wait(f"Math.abs(document.getElementById('media').currentTime - {seconds}) < 0.05")
        wait_for_playhead(shown, 10 * seconds)


def test_the_playhead_follows_the_player(shown: Any) -> None:
    shown.js(
        "(async () => { const m = document.getElementById('media');"
        " m.muted = true; m.playbackRate = 4; await m.play() })()"
    )
    shown.wait("document.getElementById('media').currentTime > 1")
    until(lambda: playhead(shown) > 8, "the playhead moves")
    shown.js("document.getElementById('media').pause()")
    shown.wait("document.getElementById('media').paused")
    wait_for_playhead(shown, 10 * where(shown), tolerance=6)


def test_a_muted_film_starts_by_itself(shown: Any) -> None:
    """As a page that starts its film would do it: without a click before."""
    shown.js("document.getElementById('media').muted = true")
    shown.js("void document.getElementById('media').play()")
    shown.wait("document.getElementById('media').currentTime > 0.2")
    shown.js("document.getElementById('media').pause()")
    assert shown.complaints() == []


@pytest.mark.parametrize("name", ["page", "index"])
def test_no_page_is_wider_than_a_phone(
    tagged: Tagged, tmp_path: Path, browser: Any, name: str
) -> None:
    index = write_site([tagged], tmp_path)
    (page,) = (tmp_path / "pages").iterdir()
    browser.open((page if name == "page" else index).as_uri(), (360, 800), phone=True)
    assert browser.js("innerWidth") == 360
    assert browser.js("document.documentElement.scrollWidth") <= 360


def test_keys_move_and_play(shown: Any) -> None:
    shown.js("document.getElementById('lanes').focus()")
    for key, code, seconds in (
        ("ArrowRight", 39, 1.0),
        ("ArrowRight", 39, 2.0),
        ("ArrowLeft", 37, 1.0),
        ("End", 35, 10.0),
        ("Home", 36, 0.0),
    ):
        shown.press(key, code)
        wait_for_playhead(shown, 10 * seconds)
    shown.js("document.getElementById('media').muted = true")
    shown.press(" ", 32, " ")
    shown.wait("!document.getElementById('media').paused")
    shown.press(" ", 32, " ")
    shown.wait("document.getElementById('media').paused")


def test_the_table_sorts(shown: Any) -> None:
    def first() -> str:
        return str(shown.js("document.querySelector('tbody th').firstChild.textContent.trim()"))

    assert first() == "Train horn"
    shown.js("document.querySelectorAll('thead button')[2].click()")  # seen
    assert first() == "Bus"
    shown.js("document.querySelectorAll('thead button')[0].click()")  # class
    assert first() == "Air horn, truck horn"
    assert shown.js("document.querySelector('thead th').getAttribute('aria-sort')") == "ascending"


def test_a_page_without_its_media_file_has_a_playhead(
    tagged: Tagged, tmp_path: Path, browser: Any
) -> None:
    write_page(replace(tagged, clip=Clip(tmp_path / "gone.webm")), tmp_path / "page.html")
    browser.open((tmp_path / "page.html").as_uri())
    browser.wait("!document.getElementById('lost').hidden")
    browser.click(*middle_of(browser, ".cover", 0.25))
    wait_for_playhead(browser, 25)


def test_an_embedded_film_plays(tagged: Tagged, film: Path, tmp_path: Path, browser: Any) -> None:
    write_page(
        replace(tagged, clip=Clip(film)), tmp_path / "page.html", options=PageOptions(embed=True)
    )
    browser.open((tmp_path / "page.html").as_uri())
    browser.wait("document.getElementById('media').readyState > 0")
    assert browser.js("document.getElementById('media').src").startswith("data:video/webm;base64,")
    assert browser.js("document.getElementById('media').poster").startswith(
        "data:image/jpeg;base64,"
    )
    outside = (
        "[...document.querySelectorAll('[src], [href], [poster]')].flatMap(e =>"
        " ['src', 'href', 'poster'].map(n => e.getAttribute(n)))"
        ".filter(a => a && !a.startsWith('data:') && !a.startsWith('#'))"
    )
    assert browser.js(outside) == []
    browser.js("document.getElementById('media').muted = true")
    browser.js("void document.getElementById('media').play()")
    browser.wait("document.getElementById('media').currentTime > 0.2")
    assert browser.complaints() == []


def test_a_hostile_name_runs_no_script(tagged: Tagged, tmp_path: Path, browser: Any) -> None:
    name = "<script>window.broken=1<∕script><img src=x onerror=window.broken=2>.mp4"
    tag = Tag("</script><script>window.broken=3</script>", 0.9, 0.1, 0.9, None)
    bad = replace(tagged, clip=Clip(Path(name)), tags=(tag,))
    index = write_site([bad, Failed(Clip(Path(name)), "media", name)], tmp_path)
    for url in (index, *(tmp_path / "pages").iterdir()):
        browser.open(url.as_uri())
        assert browser.js("window.broken === undefined")
        assert browser.js("document.querySelectorAll('script').length") == 2
    browser.open(index.as_uri())
    assert browser.js("document.querySelector('.item b').textContent") == name


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of 10,000 files; the pages themselves are left out."""
    horn, bus = Tag("Train horn", 0.81, 0.3, 0.9, None), Tag("Bus", 0.55, 0.3, None, 0.6)
    branch = BranchInfo(Status.OK, "m")
    tags = ((horn,), (bus, horn), (), (bus,))
    outcomes: list[Outcome] = [
        Tagged(
            Clip(Path(f"day {n % 7}/clip {n:05d}.mp4")),
            n % 100 + 1.0,
            tags[n % 4],
            {},
            (),
            branch,
            branch,
            RunInfo("0", "cpu", "", 0.0),
        )
        for n in range(10_000)
    ]
    outcomes[42] = Failed(Clip(Path("day 0/clip 00042.mp4")), "media", "cannot be opened")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("av_tagger.reports.html.site.write_page", lambda *_: None)
        return write_site(outcomes, tmp_path_factory.mktemp("index"))


@pytest.fixture
def many(index: Path, browser: Any) -> Any:
    browser.open(index.as_uri())
    return browser


def items(browser: Any) -> Sequence[str]:
    return list(browser.js("[...document.querySelectorAll('.item b')].map(e => e.textContent)"))


def count(browser: Any) -> str:
    return str(browser.js("document.getElementById('count').textContent"))


def press_filter(browser: Any, name: str) -> None:
    browser.js(
        "[...document.querySelectorAll('#filters button')]"
        f".find(b => b.firstChild.textContent.trim() === {name!r}).click()"
    )


def test_an_index_of_10000_files_draws_few_rows(many: Any) -> None:
    assert many.complaints() == []
    assert count(many) == "10000 files"
    assert items(many)[0] == "clip 00000.mp4"
    assert many.js("document.querySelectorAll('.item').length") < 60
    many.js("window.scrollTo(0, document.body.scrollHeight / 2)")
    many.wait("document.querySelector('.item b').textContent !== 'clip 00000.mp4'")
    assert many.js("document.querySelectorAll('.item').length") < 60
    many.js("window.scrollTo(0, document.body.scrollHeight)")
    many.wait(
        "[...document.querySelectorAll('.item b')].some(e => e.textContent === 'clip 09999.mp4')"
    )


def test_filters_select_rows(many: Any) -> None:
    press_filter(many, "Bus")
    assert count(many) == "5000 of 10000 files"
    assert items(many)[:3] == ["clip 00001.mp4", "clip 00003.mp4", "clip 00005.mp4"]
    assert many.js(
        "document.querySelectorAll('.chip.wanted').length"
        " === document.querySelectorAll('.item').length"
    )
    press_filter(many, "Train horn")
    assert count(many) == "7500 of 10000 files"
    press_filter(many, "Bus")
    press_filter(many, "Train horn")
    press_filter(many, "failed")
    assert items(many) == ["clip 00042.mp4"]
    assert (
        many.js("document.querySelector('.item.failed .message').textContent") == "cannot be opened"
    )


def test_rare_classes_are_hidden_behind_a_button(tmp_path: Path, browser: Any) -> None:
    branch = BranchInfo(Status.OK, "m")
    tags = tuple(Tag(f"class {k}", 0.5, 0.3, None, None) for k in range(60))
    one = Tagged(
        Clip(Path("a.mp4")), 1.0, tags, {}, (), branch, branch, RunInfo("0", "cpu", "", 0.0)
    )
    browser.open(write_site([one], tmp_path).as_uri())
    shown = "[...document.querySelectorAll('#filters button')].filter(b => b.offsetParent).length"
    assert browser.js(shown) == 25
    browser.js("document.querySelector('.more').click()")
    assert browser.js(shown) == 60


def test_search_looks_in_names_and_folders(many: Any) -> None:
    many.press("/", 191, "/")
    for letter in "DAY 6/ 0999":
        many.press(letter, ord(letter), letter)
    assert many.js("document.activeElement.id") == "search"
    assert items(many) == [f"clip {n:05d}.mp4" for n in range(9990, 10_000) if n % 7 == 6]
    many.press("ArrowDown", 40)
    assert many.js("document.activeElement.className") == "file"
    many.js(
        "const search = document.getElementById('search'); search.value = 'nothing like it';"
        " search.dispatchEvent(new Event('input'))"
    )
    assert items(many) == []
    assert many.js("document.getElementById('empty').hidden") is False


@pytest.mark.parametrize(
    ("order", "first"),
    [
        ("name", "clip 00000.mp4"),
        ("tags", "clip 00001.mp4"),
        ("long", "clip 00099.mp4"),
        ("short", "clip 00000.mp4"),
        ("sure", "clip 00000.mp4"),
    ],
)
def test_rows_are_sorted(many: Any, order: str, first: str) -> None:
    many.js(
        f"const order = document.getElementById('order'); order.value = {order!r};"
        " order.dispatchEvent(new Event('change'))"
    )
    assert items(many)[0] == first


def test_index_and_pages_link_to_each_other(tagged: Tagged, tmp_path: Path, browser: Any) -> None:
    browser.open(write_site([tagged], tmp_path).as_uri())
    browser.click(*middle_of(browser, ".item"))
    browser.wait(
        "location.pathname.endsWith('/pages/street_corner.html')"
        " && document.readyState === 'complete'"
    )
    browser.click(*middle_of(browser, ".top nav a"))
    browser.wait("location.pathname.endsWith('/index.html')")


def test_a_page_is_drawn(shown: Any, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    with image.open(io.BytesIO(shown.screenshot(tmp_path / "page.png"))) as picture:
        assert picture.width == 1280
        assert picture.height > 1200
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 500


def ticks(browser: Any) -> list[str]:
    return list(browser.js("[...document.querySelectorAll('.axis text')].map(e => e.textContent)"))


def test_the_timeline_zooms(shown: Any) -> None:
    """Twice around the middle: the timeline shows 3.75 to 6.25 s, and clicks mean that."""
    whole = ticks(shown)
    assert whole[0] == "0:00"
    shown.click(*middle_of(shown, ".cover", 0.5))
    shown.wait("Math.abs(document.getElementById('media').currentTime - 5) < 0.05")
    for _ in range(2):
        shown.js("document.querySelector('[data-zoom=\"+\"]').click()")
    assert ticks(shown) == [f"0:{t / 2:04.1f}" for t in range(8, 13)]
    wait_for_playhead(shown, 50)
    shown.click(*middle_of(shown, ".cover", 0.9))
    shown.wait("Math.abs(document.getElementById('media').currentTime - 6) < 0.05")
    horn = "document.querySelectorAll('.sound .graph')[0].getBoundingClientRect().width"
    assert shown.js(horn) == pytest.approx(
        4 * shown.js("document.querySelector('.track').clientWidth"), rel=0.01
    )
    shown.js("document.getElementById('lanes').focus()")
    shown.press("0", 48, "0")
    assert ticks(shown) == whole
    shown.press("?", 191, "?")
    assert shown.js("document.getElementById('keys').classList.contains('asked')")
    assert shown.complaints() == []


def test_many_classes_are_folded_and_filtered(tagged: Tagged, tmp_path: Path, browser: Any) -> None:
    scores = tagged.scores | {
        f"Class {k}": replace(tagged.scores["Bus"], fused=k / 1000) for k in range(500)
    }
    write_page(replace(tagged, scores=scores, activity=None), tmp_path / "page.html")
    browser.open((tmp_path / "page.html").as_uri())
    shown = "[...document.querySelectorAll('tbody tr')].filter(r => r.offsetParent).length"
    assert browser.js(shown) == 25
    assert browser.js("document.getElementById('all-classes').textContent") == "and 492 more"
    browser.js(
        "const f = document.getElementById('class-filter'); f.value = 'class 12';"
        " f.dispatchEvent(new Event('input'))"
    )
    assert browser.js(shown) == 15, "12, 112, 120 to 129, 212, 312, 412"
    browser.js("f.value = ''; f.dispatchEvent(new Event('input'))")
    browser.js("document.getElementById('all-classes').click()")
    assert browser.js(shown) == 517


def test_what_a_list_leaves_out_opens(tagged: Tagged, tmp_path: Path, browser: Any) -> None:
    events = tuple(Event(k / 30, k / 30 + 0.02, 0.5) for k in range(208))
    tags = (replace(tagged.tags[0], events=events),)
    write_page(replace(tagged, tags=tags), tmp_path / "page.html")
    browser.open((tmp_path / "page.html").as_uri())
    buttons = "[...document.querySelectorAll('.card [data-seek]')].filter(b => b.checkVisibility())"
    before = browser.js(f"{buttons}.length")
    assert browser.js("document.querySelector('.card summary').textContent") == "and 196 more"
    browser.js("document.querySelector('.card summary').click()")
    assert browser.js(f"{buttons}.length") == before + 196


def test_the_index_gives_what_it_shows_as_csv(browser: Any, tmp_path: Path) -> None:
    branch, run = BranchInfo(Status.OK, "m"), RunInfo("0", "cpu", "", 0.0)
    tag = Tag('=cmd|"x"', 0.5, 0.3, None, None)
    outcomes: list[Outcome] = [
        Tagged(Clip(Path(f"in/{name}")), 2.0, tags, {}, (), branch, branch, run)
        for name, tags in (("-a,b.mp4", (tag,)), ("other.mp4", ()))
    ]
    outcomes.append(Failed(Clip(Path("in/-bad.mp4")), "media", "no sound"))
    browser.open(write_site(outcomes, tmp_path).as_uri())
    browser.js(
        "URL.createObjectURL = (blob) => { window.saved = blob; return 'about:blank#x' };"
        " const s = document.getElementById('search'); s.value = '-';"
        " s.dispatchEvent(new Event('input')); HTMLAnchorElement.prototype.click = () => {};"
        " document.getElementById('csv').click()"
    )
    assert browser.js("window.saved.text()").splitlines() == [
        "file,folder,seconds,label,probability,error",
        '"\'-a,b.mp4",in,2,"\'=cmd|""x""",0.5,',
        "'-bad.mp4,in,,,,no sound",
    ]


@pytest.mark.parametrize("width", [1280, 390])
def test_file_names_are_whole_in_the_index(width: int, browser: Any, tmp_path: Path) -> None:
    """Rows are as high as their names; none covers the next."""
    branch, run = BranchInfo(Status.OK, "m"), RunInfo("0", "cpu", "", 0.0)
    names = ["short.mp4", "a very long name of a film " * 8 + ".mp4", "W" * 180 + ".mp4", "z.mp4"]
    outcomes: list[Outcome] = [
        Tagged(Clip(Path("a folder/below") / name), 2.0, (), {}, (), branch, branch, run)
        for name in names
    ]
    browser.open(write_site(outcomes, tmp_path).as_uri(), (width, 800), phone=width < 600)
    boxes = browser.js(
        "[...document.querySelectorAll('.item')].map(i => { const b = i.querySelector('.file');"
        " const r = i.getBoundingClientRect(), f = b.getBoundingClientRect();"
        " return [r.top, r.bottom, f.top, f.bottom, b.scrollWidth - b.clientWidth] })"
    )
    assert len(boxes) == 4
    for top, bottom, name_top, name_bottom, hidden in boxes:
        assert top - 1 <= name_top
        assert name_bottom <= bottom + 1
        assert hidden <= 0
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(boxes))
