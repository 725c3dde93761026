from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from config.admin_navigation import TASKS
from customers.models import Customer
from tests.admin_kit import DESKTOP, PHONE, desk, session_of
from tests.connect_bridge.event_log.kit import change_page
from tests.factories import OutboxEntryFactory, WebhookDeliveryFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def rows() -> list[str]:
    """Give the pages of a message's way, with a text that is long for a phone, and the form of opening hours."""
    text = "A line of middling length, as people write it when something does not work. " * 3
    entry = OutboxEntryFactory(message__text=text, text=text, state="dead", error_detail=text)
    chain = (entry, entry.message, entry.conversation, entry.conversation.account)
    return [*(change_page(row) for row in chain), "/admin/channels_app/businesshours/add/"]


@pytest.fixture
def boss(live_server, rows: list[str]) -> str:
    """Give the session of somebody who may do everything, where there is something to see."""
    WebhookDeliveryFactory()
    Customer.objects.bulk_create(Customer(display_name=f"Customer {number}") for number in range(750))  # many pages
    return session_of(User.objects.create_superuser("boss"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "320px"])
async def test_every_page_fits_and_asks_nobody_else(
    chromium: str, live_server, boss: str, rows: list[str], scheme: str, size
) -> None:
    async with desk(chromium, live_server.url, boss, viewport=size, color_scheme=scheme) as here:
        pages = [page.address for task in TASKS for page in task.pages]
        for address in [*rows, *(one for one in pages if one.startswith("/admin/"))]:  # the others look otherwise
            await here.open(address)
            assert await here.overflow() <= 0, address
            dark = await here.page.evaluate("document.documentElement.classList.contains('dark')")
            assert dark is (scheme == "dark"), address


async def test_menus_open_by_keyboard(chromium: str, live_server, boss: str) -> None:
    async with desk(chromium, live_server.url, boss) as here:
        await here.open("/admin/")
        await here.page.get_by_role("button", name="boss").focus()
        await here.page.keyboard.press("Enter")
        await here.page.get_by_role("button", name="Dark").press("Enter")
        await here.page.wait_for_function("document.documentElement.classList.contains('dark')")

        await here.open("/admin/channels_app/webhookdelivery/")
        await here.page.get_by_role("button", name="Filters").press("Enter")
        await here.page.get_by_role("heading", name="By state").wait_for()
