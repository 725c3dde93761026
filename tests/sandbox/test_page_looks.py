"""Whether everybody can read and reach the sandbox page: sizes, names, targets, contrast, colours, keyboard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.sandbox.page_kit import DESKTOP, SENT, Company, Window, launched, served, settled, window

if TYPE_CHECKING:
    from conftest import RunningWorld

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

#: Names of the controls that a reader of the screen would not hear, as HTML.
NAMELESS = """() => [...document.querySelectorAll("button, input, textarea, summary, [role=tab], img")]
  .filter((node) => node.checkVisibility())
  .filter((node) => !(node.ariaLabel || node.alt || node.textContent.trim() || node.labels?.[0]?.textContent.trim()))
  .map((node) => node.outerHTML)"""
SMALL = """() => [...document.querySelectorAll("button, input, textarea, summary")]
  .filter((node) => node.checkVisibility())
  .map((node) => [node.getBoundingClientRect(), node.outerHTML.slice(0, 120)])
  .filter(([box]) => box.width < 24 || box.height < 24).map(([box, html]) => `${box.width}x${box.height} ${html}`)"""
#: Texts below 4.5:1 (WCAG 2.2, 1.4.3). A canvas resolves every colour notation, and lays grounds on each other.
FAINT = """() => {
  const paint = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const laid = (colours) => {
    paint.fillStyle = "white";
    paint.fillRect(0, 0, 1, 1);
    for (const colour of colours) { paint.fillStyle = colour; paint.fillRect(0, 0, 1, 1); }
    return luminance([...paint.getImageData(0, 0, 1, 1).data].slice(0, 3));
  };
  const faint = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    const node = text.parentElement;
    const silent = node.closest("script, template, .hidden, :disabled") || !text.data.trim();
    if (silent || !node.checkVisibility()) continue;
    const grounds = [];
    for (let up = node; up; up = up.parentElement) grounds.unshift(getComputedStyle(up).backgroundColor);
    const [ground, ink] = [laid(grounds), laid([...grounds, getComputedStyle(node).color])];
    const ratio = (Math.max(ground, ink) + 0.05) / (Math.min(ground, ink) + 0.05);
    if (ratio < 4.5) faint.push(`${ratio.toFixed(2)} ${text.data.trim().slice(0, 40)}`);
  }
  return faint;
}"""
OVERFLOW = (
    "() => [document.documentElement.scrollWidth - innerWidth, document.documentElement.scrollHeight - innerHeight]"
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    async with launched(chromium) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def company(aws: RunningWorld) -> AsyncIterator[Company]:
    async with settled(aws) as acme:
        yield acme


@pytest_asyncio.fixture(loop_scope="module", params=["light", "dark"])
async def lively(
    request: pytest.FixtureRequest, browser: Browser, settings: Any, company: Company
) -> AsyncIterator[Page]:
    """The page with something of everything on it."""
    with served(settings, company.aws.url) as url:
        async with window(browser, url, color_scheme=request.param, reduced_motion="reduce") as opened:
            await fill(opened, company)
            yield opened.page


async def fill(window: Window, company: Company) -> None:
    for kind in ("twitter", "messenger", "whatsapp"):
        await window.write(kind, "Hello")
    await company.tell_ana("Good morning")
    await window.phone("twitter").get_by_role("button", name="Send something else").click()
    await window.phone("twitter").get_by_role("button", name="forged").click()
    await company.chat("Jane", "One")
    await window.accept("Jane")
    await company.chat("Omar", "Two")
    await window.page.get_by_role("button", name="Details").click()
    await window.answer("Jane", "Three")
    await window.page.locator(".journey-head").first.click()
    await window.page.get_by_role("button", name="Accept Omar").wait_for()


async def test_every_text_can_be_read_in_light_and_dark(lively: Page) -> None:
    assert await lively.evaluate(FAINT) == []
    await lively.get_by_role("button", name="Break something").click()
    assert await lively.evaluate(FAINT) == []
    await lively.keyboard.press("Escape")
    await lively.locator("#all-events").click()
    assert await lively.evaluate(FAINT) == []


async def test_every_control_has_a_name_and_can_be_hit(lively: Page) -> None:
    assert await lively.evaluate(NAMELESS) == []
    assert await lively.evaluate(SMALL) == []


async def test_the_page_does_not_scroll_on_a_laptop(lively: Page) -> None:
    for size in (DESKTOP, {"width": 1280, "height": 720}, {"width": 1920, "height": 1080}):
        await lively.set_viewport_size(size)
        assert await lively.evaluate(OVERFLOW) == [0, 0], size


async def test_on_a_small_screen_one_part_shows_at_a_time_and_nothing_sticks_out(lively: Page) -> None:
    await lively.set_viewport_size({"width": 320, "height": 640})
    for part, label in (("phones", "phones"), ("desk", "Agent desktop"), ("tail", "Live tail")):
        await lively.locator(f'.views [data-view="{part}"]').click()

        await expect(lively.get_by_role("region", name=label)).to_be_visible()
        assert (await lively.evaluate(OVERFLOW))[0] == 0, part
        assert await lively.evaluate(SMALL) == [], part


async def test_the_chosen_colours_are_remembered(browser: Browser, settings: Any, company: Company) -> None:
    with served(settings, company.aws.url) as url:
        async with window(browser, url, color_scheme="light") as opened:
            ground = "() => getComputedStyle(document.body).backgroundColor"
            before = await opened.page.evaluate(ground)
            await opened.page.get_by_role("button", name="Use dark colours").click()
            chosen = await opened.page.evaluate(ground)
            await opened.page.reload()
            await opened.page.get_by_role("button", name="Use light colours").wait_for()

            assert chosen != before
            assert await opened.page.evaluate(ground) == chosen


async def test_a_person_with_a_keyboard_alone_serves_a_customer(
    browser: Browser, settings: Any, company: Company
) -> None:
    with served(settings, company.aws.url) as url:
        async with window(browser, url) as opened:
            customer = await company.chat("Jane", "One")
            accept = opened.page.get_by_role("button", name="Accept Jane")
            await accept.wait_for()
            for _ in range(60):
                await opened.page.keyboard.press("Tab")
                if await accept.evaluate("(node) => node === document.activeElement"):
                    break
            assert await accept.evaluate("(node) => getComputedStyle(node).outlineStyle") == "solid"
            await opened.page.keyboard.press("Enter")
            await expect(opened.page.get_by_label("Answer Jane")).to_be_focused()
            await opened.page.keyboard.type("Two")
            await opened.page.keyboard.press("Enter")

            await expect(opened.transcript("Jane").locator(".bubble.mine")).to_contain_text(SENT)
            async with asyncio.timeout(30):
                while "Two" not in await asyncio.to_thread(customer.said):  # noqa: ASYNC110 - another thread's event
                    await asyncio.sleep(0.05)
