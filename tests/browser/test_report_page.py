"""report.html in a browser without a network: what assistive technology and a strict eye find."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.chromium import NEEDED

pytestmark = [pytest.mark.browser, NEEDED]

OUTLINE = """() => ({
  requests: performance.getEntriesByType('resource').map(entry => entry.name),
  scripts: document.scripts.length,
  pictures: [...document.querySelectorAll('img, svg')]
    .filter(each => !each.closest('[aria-hidden=true]'))
    .map(each => each.getAttribute('alt') ?? each.getAttribute('aria-label')
      ?? each.querySelector('title')?.textContent ?? ''),
  headings: [...document.querySelectorAll('h1, h2, h3, h4, h5, h6')]
    .map(each => [Number(each.tagName[1]), each.textContent.trim()]),
  unscoped: [...document.querySelectorAll('th:not([scope])')].map(each => each.outerHTML),
  unnamed: [...document.querySelectorAll('table')]
    .filter(each => !each.caption && !each.ariaLabel)
    .map(each => each.textContent.slice(0, 80)),
  language: document.documentElement.lang,
  title: document.title,
  wide: document.documentElement.scrollWidth,
  ids: [...document.querySelectorAll('[id]')].map(each => each.id),
  targets: [...document.querySelectorAll('a[href^="#"]')].map(each => each.hash.slice(1)),
})"""


@pytest.fixture(scope="module")
def opened(browser: Browser, report: Path) -> Iterator[tuple[Page, list[str]]]:
    """The page, and everything that it said or asked for."""
    said: list[str] = []
    context = browser.new_context(offline=True, viewport={"width": 1200, "height": 900})
    page = context.new_page()
    page.on("console", lambda message: said.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.on("request", lambda request: said.append(f"request: {request.url}"))
    page.goto(report.as_uri())
    yield page, said
    context.close()


@pytest.fixture(scope="module")
def outline(opened: tuple[Page, list[str]]) -> dict[str, Any]:
    found: dict[str, Any] = opened[0].evaluate(OUTLINE)
    return found


def test_it_asks_for_nothing_and_complains_of_nothing(
    opened: tuple[Page, list[str]], outline: dict[str, Any], report: Path
) -> None:
    """One file: no request but its own, no console message, no script."""
    _, said = opened
    other = [line for line in said if not line.startswith(("request: data:", "request: file:"))]
    assert other == []
    assert [line for line in said if line.startswith("request: file:")] == [
        f"request: {report.as_uri()}"
    ]
    assert [name for name in outline["requests"] if not name.startswith("data:")] == []
    assert outline["scripts"] == 0


def test_every_picture_has_words(outline: dict[str, Any]) -> None:
    """A chart a target, each with an alternative text that says what it shows."""
    assert len(outline["pictures"]) >= 4
    assert all(len(words) > 20 for words in outline["pictures"]), outline["pictures"]


def test_headings_are_in_order(outline: dict[str, Any]) -> None:
    """One h1 first, and no level is left out on the way down."""
    levels = [level for level, _ in outline["headings"]]
    assert levels[0] == 1
    assert levels.count(1) == 1
    for above, below in itertools.pairwise(levels):
        assert below <= above + 1, outline["headings"]
    assert all(words for _, words in outline["headings"])


def test_tables_can_be_read_aloud(outline: dict[str, Any]) -> None:
    """Each header says whether it heads a row or a column, and each table has a name."""
    assert outline["unscoped"] == []
    assert outline["unnamed"] == []


def test_links_lead_somewhere_and_ids_are_single(outline: dict[str, Any]) -> None:
    """The contents reach every section."""
    assert set(outline["targets"]) <= set(outline["ids"])
    assert len(outline["ids"]) == len(set(outline["ids"]))
    assert outline["language"]
    assert outline["title"]


@pytest.mark.parametrize("width", [1280, 800, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_scrolls_sideways(
    opened: tuple[Page, list[str]], pictures: Path, width: int, scheme: Any
) -> None:
    """In light and dark, on a wide page, on a narrow one and on a phone."""
    page, _ = opened
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 1200})
    page.screenshot(path=pictures / f"report-{scheme}-{width}.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


BEYOND = """() => [...document.querySelectorAll('#decision td, #decision th, #decision li')]
  .filter(each => each.getClientRects().length && !each.closest('thead'))
  .filter(each => each.getBoundingClientRect().right > innerWidth)
  .map(each => each.textContent)"""


@pytest.mark.parametrize("width", [1280, 800, 390])
def test_the_decision_is_read_without_scrolling_sideways(
    opened: tuple[Page, list[str]], width: int
) -> None:
    """No cell of it lies beyond the edge, not even in a box that scrolls; each has its name."""
    page, _ = opened
    page.set_viewport_size({"width": width, "height": 1000})
    assert page.evaluate(BEYOND) == []
    box = page.locator("#decision .pk-scroll")
    assert box.evaluate("each => each.scrollWidth <= each.clientWidth")
    size = page.locator("#decision tbody td").first
    named = size.evaluate("each => getComputedStyle(each, '::before').content")
    assert named == ('"size"' if width == 390 else "none")


def test_links_work_from_the_keyboard_and_open_what_they_lead_to(
    opened: tuple[Page, list[str]],
) -> None:
    """From the first link of a target's section on, with Tab and Enter alone."""
    page, _ = opened
    page.set_viewport_size({"width": 1280, "height": 1000})
    section = page.locator(".pk-target").first
    links = section.locator("nav.pk-jump a")
    links.first.focus()
    for _ in range(links.count() - 2):
        page.keyboard.press("Tab")
    focused = page.evaluate("document.activeElement.textContent")
    assert focused == "checks"
    checks = section.locator("[id$='-checks']")
    assert not checks.is_visible()
    page.keyboard.press("Enter")
    checks.wait_for(state="visible")
    page.keyboard.press("Tab")
    section.locator("nav.pk-jump a").last.press("Enter")
    page.wait_for_function("document.querySelector('#decision').getBoundingClientRect().top >= 0")
    assert page.evaluate("scrollY") < 400


def test_a_point_has_its_title_where_the_pointer_finds_it(
    opened: tuple[Page, list[str]],
) -> None:
    """The element under the middle of a mark is the one that has the title, hollow ones too."""
    page, _ = opened
    page.set_viewport_size({"width": 1280, "height": 1000})
    mark = page.locator(".pk-chart use:has(> title)").first
    mark.scroll_into_view_if_needed()
    found = mark.evaluate("""each => {
      const box = each.getBoundingClientRect()
      const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2)
      return top.querySelector('title')?.textContent ?? ''
    }""")
    assert "connection" in found


def test_the_first_printed_page_holds_the_decision_and_no_links(
    opened: tuple[Page, list[str]],
) -> None:
    """Title, decision and contents on one A4 page with its margins; nothing to click."""
    page, _ = opened
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 688, "height": 1002})  # 182 x 265 mm
    try:
        bottom = "each => each.getBoundingClientRect().bottom + scrollY"
        assert page.locator("nav.contents").evaluate(bottom) < 1002
        assert page.locator(".pk-jump:visible").count() == 0
        assert page.locator("#decision .pk-scroll").evaluate(
            "each => each.scrollWidth <= each.clientWidth"
        )
    finally:
        page.emulate_media(media="screen")
