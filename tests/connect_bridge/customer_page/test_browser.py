"""The customer's page in a real browser: it fits, works by keyboard, and asks nobody else for anything."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User

from connect_bridge.models import Contact, Message
from connect_bridge.relay.agent_link import agent_link
from tests.admin_kit import DESKTOP, PHONE, desk, session_of
from tests.connect_bridge.customer_page.kit import Past, ana, many

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def past(live_server) -> Past:
    past = ana()
    many(past, 300)
    return past


@pytest.fixture
def boss(past: Past) -> str:
    return session_of(User.objects.create_superuser("boss"))


@pytest.fixture
def agent_path(past: Past) -> str:
    return urlsplit(agent_link(Contact.objects.get(state="connected").pk)).path


@pytest.fixture
def far(past: Past) -> str:
    """A message two pages back."""
    return str(Message.objects.get(text__startswith="Line 40 of").pk)


LOOKS = [{"viewport": size, "color_scheme": scheme} for size in (DESKTOP, PHONE) for scheme in ("light", "dark")]


@pytest.mark.parametrize("look", LOOKS, ids=["desktop-light", "desktop-dark", "320px-light", "320px-dark"])
async def test_every_page_fits_and_asks_nobody_else(chromium, live_server, past, boss, agent_path, look) -> None:
    own = f"/customers/{past.customer.pk}/"
    pages = ("/customers/", own, f"{own}join/?with={past.other.customer_id}", f"{own}?q=nothing", agent_path)
    async with desk(chromium, live_server.url, boss, **look) as here:
        for path in pages:
            await here.open(path)
            assert await here.overflow() <= 0, path


async def test_the_stream_begins_at_its_end_and_a_link_at_its_message(chromium, live_server, past, boss, far) -> None:
    async with desk(chromium, live_server.url, boss) as here:
        await here.open(f"/customers/{past.customer.pk}/")
        await here.page.get_by_text("Line 299 of many").wait_for()
        await here.page.wait_for_function(
            "(() => { const s = document.querySelector('[data-stream]');"
            " return s.scrollTop > 0 && s.scrollTop + s.clientHeight >= s.scrollHeight - 4; })()"
        )
        await here.open(f"/customers/{past.customer.pk}/?at={far}#m-{far}")
        expected = here.page.locator(f"#m-{far}")
        await expected.wait_for()
        await here.page.wait_for_function(
            "(id) => { const b = document.getElementById(id).getBoundingClientRect();"
            " return b.top >= 0 && b.bottom <= innerHeight; }",
            arg=f"m-{far}",
        )
        assert "here" in (await expected.get_attribute("class") or "")


async def test_filters_apply_by_keyboard(chromium, live_server, past, boss) -> None:
    async with desk(chromium, live_server.url, boss) as here:
        await here.open(f"/customers/{past.customer.pk}/")
        await here.page.get_by_label("Not delivered").focus()
        await here.page.keyboard.press("Space")
        await here.page.wait_for_url("**problems=1*")
        await here.page.get_by_text("Outside of the 24-hour window.").wait_for()
        await here.page.get_by_label("Search in what was said").press_sequentially("nothing like it")
        await here.page.keyboard.press("Enter")
        await here.page.get_by_text("Nothing fits these filters").wait_for()
        await here.page.get_by_role("link", name="Clear all").first.press("Enter")
        await here.page.get_by_text("Line 299 of many").wait_for()


async def test_joined_by_keyboard_and_undone_from_the_toast(chromium, live_server, past, boss) -> None:
    async with desk(chromium, live_server.url, boss) as here:
        await here.open(f"/customers/{past.customer.pk}/")
        await here.page.get_by_role("link", name="Compare…").press("Enter")
        await here.page.get_by_label("Why (optional)").press_sequentially("the same voice")
        await here.page.get_by_role("button", name="Make them one customer").press("Enter")
        await here.page.get_by_text("Now one customer").wait_for()
        await here.page.get_by_role("button", name="Undo", exact=True).press("Enter")
        await here.page.get_by_text("Taken apart").wait_for()
        await here.page.get_by_text("The same person?").wait_for()


async def test_no_page_but_the_workspace_can_frame_the_agents_page(chromium, live_server, agent_path) -> None:
    async with desk(chromium, live_server.url) as here:
        await here.page.set_content(f'<iframe src="{live_server.url}{agent_path}" width="400" height="600"></iframe>')
        deadline = time.monotonic() + 20
        while not any("frame-ancestors" in complaint for complaint in here.complaints):
            assert time.monotonic() < deadline, "the browser framed it"
            await asyncio.sleep(0.05)
        here.complaints.clear()


async def test_the_agents_page_tells_what_became_of_a_message_without_a_reload(
    chromium, live_server, past, agent_path
) -> None:
    async with desk(chromium, live_server.url) as here:
        await here.open(agent_path)
        line = Message.objects.filter(direction="out", status__in=["accepted", "delivered", "read"])
        newest = await line.order_by("-created_at").afirst()
        assert newest is not None
        why = {"status": "failed", "error_code": "blocked", "error_detail": "The customer does not take messages."}
        await Message.objects.filter(pk=newest.pk).aupdate(**why)
        await here.page.get_by_text("The customer does not take messages.").wait_for()
