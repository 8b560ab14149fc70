"""The page in a real browser: it plays, scrubs, paints the mask, follows keys and colours, asks the network for
nothing, logs no error.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.container.make import groups, header, sized, written
from tests.report.browser import CHROMIUM, Page
from tests.report.make import page, panned

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium in PATH")

PIXELS = "stage.toDataURL()"
PAINTED = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of 96 frames of 109x67 at 9 x 14 positions."""
    path = tmp_path_factory.mktemp("page") / "report.html"
    of = sized(9, 14, 4)
    path.write_text(page(written(of, groups(of, 3))), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with Page(tmp_path_factory.mktemp("profile")) as one:
        yield one


@pytest.fixture
def tab(browser: Page, report: Path) -> Iterator[Page]:
    """The page just opened on a wide screen that prefers light; afterwards, nothing may have gone wrong."""
    browser.look(1280, 900, dark=False)
    browser.errors.clear()
    browser.requests.clear()
    browser.open(report)
    browser.value("localStorage.clear()")
    yield browser
    browser.value(PAINTED)
    assert browser.errors == []
    assert all(address.startswith(("file:", "data:")) for address in browser.requests)


def at(tab: Page) -> int:
    """The frame whose picture is on the stage, once that is the one the scrub bar stands at."""
    tab.wait("stage.dataset.frame === scrub.value")
    return int(tab.value("stage.dataset.frame"))


def move(tab: Page, frame: int) -> None:
    tab.value(f"scrub.value = {frame}; scrub.dispatchEvent(new Event('input', {{bubbles: true}}))")


def test_scrubbing_changes_the_picture_and_the_facts(tab: Page) -> None:
    seen = set()
    for frame in (0, 40, 95):
        move(tab, frame)
        assert at(tab) == frame
        seen.add(tab.value(PIXELS))
        assert f"{frame / 25:.2f} s" in tab.value("facts.textContent")
    assert len(seen) == 3
    head = [tab.value("Number(head.getAttribute('x1'))")]
    move(tab, 0)
    head.append(tab.value("Number(head.getAttribute('x1'))"))
    assert head[1] < head[0]


def test_keys(tab: Page) -> None:
    for key, frame in (
        ("End", 95),
        ("ArrowLeft", 94),
        ("Home", 0),
        ("ArrowLeft", 0),
        ("ArrowRight", 1),
        ("ArrowRight", 2),
    ):
        tab.press(key)
        assert at(tab) == frame
    tab.press(" ")
    assert tab.value("play.textContent") == "Pause"
    tab.wait("Number(stage.dataset.frame) > 4")
    tab.press(" ")
    assert tab.value("play.textContent") == "Play"
    stopped = at(tab)
    tab.value("new Promise(done => setTimeout(() => done(true), 200))")
    assert at(tab) == stopped


def test_playing_ends_at_the_last_frame(tab: Page) -> None:
    move(tab, 85)
    tab.click("#play")
    tab.wait("play.textContent === 'Play' && stage.dataset.frame === '95'")


def test_the_mask_can_be_taken_off_and_faded(tab: Page) -> None:
    move(tab, 12)
    assert at(tab) == 12
    over = tab.value(PIXELS)
    tab.press("m")
    assert tab.value("overlay.checked") is False
    plain = tab.value(PIXELS)
    tab.click("#overlay")
    assert tab.value(PIXELS) == over != plain
    tab.value("opacity.value = 0; opacity.dispatchEvent(new Event('input'))")
    assert tab.value(PIXELS) == plain
    tab.value("opacity.value = 100; opacity.dispatchEvent(new Event('input'))")
    modes = set()
    for mode in ("lately", "now", "share"):
        tab.value(f"mode.value = '{mode}'; mode.dispatchEvent(new Event('change'))")
        modes.add(tab.value(PIXELS))
    assert len(modes | {plain}) == 4


def test_a_file_whose_camera_stands_still_shows_no_world(tab: Page) -> None:
    assert tab.value("document.getElementById('world-card').hidden")


@pytest.mark.parametrize("rotation", [0, 90])
def test_the_world_of_a_camera_that_moves(browser: Page, tmp_path: Path, rotation: int) -> None:
    """It shows the frame where it lies, and a click there moves the player to the frame nearest by; a still segment
    behind it has a world of its own."""
    of = header(requires=("camera",), rotation=rotation)
    made = panned(of, [None, (0, 6), (0, 6), (0, 6)])
    (tmp_path / "world.html").write_text(page(written(of, made)), encoding="utf-8")
    browser.look(1280, 900, dark=False)
    browser.errors.clear()
    browser.open(tmp_path / "world.html")
    browser.wait("'frame' in world.dataset")
    wide, tall = browser.value("[world.width, world.height]")
    assert (wide > 3 * tall) if rotation == 0 else (tall > 3 * wide)
    pictures = set()
    for frame in (0, 20, 31):
        move(browser, frame)
        assert at(browser) == frame
        browser.wait(f"world.dataset.frame === '{frame}'")
        pictures.add(browser.value("world.toDataURL()"))
    assert len(pictures) == 3
    # a rotation of 90 is counter-clockwise: the right end is at the top
    ends = [(0.99, 0.5), (0.01, 0.5)] if rotation == 0 else [(0.5, 0.01), (0.5, 0.99)]
    for (across, down), expected in zip(ends, (31, 7), strict=True):
        browser.click("#world", across, down)
        frame = at(browser)
        assert frame == 31 if expected == 31 else frame <= 7
    assert browser.errors == []


def test_the_chart_moves_the_player(tab: Page) -> None:
    tab.click("#chart", across=0.75)
    assert 60 < at(tab) < 85
    assert tab.value("document.querySelectorAll('#chart path').length") == 5
    tab.click("#chart", across=0.2)
    assert 5 < at(tab) < 25


def test_colours_follow_the_system_and_the_button(tab: Page) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    light = tab.value(background)
    tab.look(1280, 900, dark=True)
    dark = tab.value(background)
    assert light != dark
    tab.click("#theme")
    assert tab.value(background) == light
    tab.press("t")
    assert tab.value(background) == dark


@pytest.mark.parametrize("width", [320, 390, 700, 1280])
def test_nothing_sticks_out_sideways(width: int, tab: Page, report: Path) -> None:
    tab.look(width, 844, dark=True, phone=width < 500)
    tab.open(report)
    assert tab.value("document.documentElement.scrollWidth") <= width
    wide = tab.value("document.getElementById('chart-svg').getBoundingClientRect().width")
    assert 0.7 * width < wide <= width


def test_a_page_without_frames_says_so(browser: Page, tmp_path: Path) -> None:
    of = sized(2, 3, 1)
    path = tmp_path / "empty.html"
    path.write_text(page(written(of, groups(of, 1)), most_frames=0), encoding="utf-8")
    browser.errors.clear()
    browser.open(path)
    assert (
        browser.value("getComputedStyle(empty).display") != "none" == browser.value("getComputedStyle(stage).display")
    )
    assert browser.errors == []
