"""Whatever customers, messengers and colleagues write stays a text on every page, as a real browser sees it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User

from tests.admin_kit import Desk, desk, session_of
from tests.people.hostile_kit import SUM, everything_hostile

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]

#: Pages that show nothing of it but the name of whoever looks.
SILENT = {"/admin/", "/admin/channels/add/", "/accounts/sessions/", "/accounts/2fa/", "/accounts/login/"}
#: What has become markup, a link that runs, or the result of a template; and whether the text is there at all.
LOOK = """(sum) => {
    const caught = [...document.querySelectorAll('[data-bait], [src*="bait"], [onerror], [onload]')];
    const running = [...document.querySelectorAll('a, form, iframe, object, embed')].filter(
        (one) => /^\\s*javascript:/i.test(one.getAttribute('href') || one.getAttribute('action') || one.src || ''));
    const text = document.documentElement.innerHTML;
    const typed = [...document.querySelectorAll('input, textarea')].map((one) => one.value);
    return {
        caught: [...caught, ...running].map((one) => one.outerHTML.slice(0, 200)),
        counted: text.includes(sum),
        shown: [document.title, document.body.textContent, ...typed].join('\\n').includes('<img src=/bait'),
    };
}"""


@pytest.fixture
def made(live_server: Any) -> tuple[User, dict[str, list[str]]]:
    return everything_hostile()


@pytest.fixture
def session(made: tuple[User, dict[str, list[str]]]) -> str:
    return session_of(made[0])


async def look(here: Desk, address: str) -> bool:
    """Open a page, fail on whatever got out of its place there, and say whether the text is shown."""
    await here.open(address)
    result = await here.page.evaluate(LOOK, SUM)
    assert result["caught"] == [], address
    assert not result["counted"], address
    return bool(result["shown"])


@pytest.mark.parametrize("part", ["lists and rows", "pages"])
async def test_hostile_texts_are_only_shown(
    chromium: str, live_server: Any, made: tuple[User, dict[str, list[str]]], session: str, part: str
) -> None:
    # The test's server has no websocket: dashboards complain of that, and poll.
    async with desk(chromium, live_server.url, session, but="/ws/dashboards/") as here:
        silent = [address for address in made[1][part] if not await look(here, address)]
    assert {urlsplit(address).path for address in silent} <= SILENT


async def test_a_hostile_name_survives_what_people_press(
    chromium: str, live_server: Any, made: tuple[User, dict[str, list[str]]], session: str
) -> None:
    async with desk(chromium, live_server.url, session) as here:
        page = here.page
        await look(here, "/admin/events/?fate=failed")
        await page.locator("input[data-way=out]").first.check()
        await page.get_by_role("button", name="Retry delivery …").click()
        await page.get_by_role("heading", name="What this would do").wait_for()
        assert (await page.evaluate(LOOK, SUM))["caught"] == []
        await look(here, "/admin/connect_bridge/conversation/")
        await page.get_by_role("button", name="Filters").press("Enter")
        await page.get_by_role("heading", name="By account").wait_for()
        assert (await page.evaluate(LOOK, SUM))["caught"] == []
