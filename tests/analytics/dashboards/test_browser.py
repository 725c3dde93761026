"""The dashboards in a real browser: by keyboard, by address, light, dark and narrow, and while numbers change."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.async_api import Page, expect

from analytics.models import Sentiment
from analytics.rollups.update import refresh
from tests.admin_kit import Desk, desk, session_of
from tests.analytics.kit import BAD, GOOD, customer_wrote
from tests.factories import ChannelAccountFactory, ContactFactory, ConversationFactory, MessageFactory

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(400)]

LOOKS = (Path(__file__).parent / "looks.js").read_text()
PHONE = {"width": 320, "height": 800}


def chat(name: str, score: Any, kind: str = "whatsapp") -> Any:
    """Store a chat of a few minutes ago, and count it."""
    account = ChannelAccountFactory(kind=kind)
    conversation = ConversationFactory(account=account, identity__display_name=name)
    begun = timezone.now() - timedelta(minutes=3)
    contact = ContactFactory(conversation=conversation, requested_at=begun, agent_name="Ann", bot=False)
    message = customer_wrote(f"the words of {name}", conversation, contact=contact, created_at=begun)
    shares = {part: getattr(score, part) for part in ("positive", "negative", "neutral", "mixed")}
    state = {"state": "scored", "score": score.value, "label": score.label, "language": "en", "due_at": begun}
    Sentiment.objects.create(message=message, **state, **shares)
    done = begun + timedelta(seconds=40)
    times = {"created_at": done, "occurred_at": done, "settled_at": done}
    MessageFactory(conversation=conversation, contact=contact, direction="out", status="accepted", **times)
    while refresh().changes:  # type: ignore[union-attr]
        pass
    return contact


@pytest.fixture
def boss(live_server: Any) -> str:
    for number in range(3):
        chat(f"Angry {number}", BAD)
    chat("Happy", GOOD, "messenger")
    ChannelAccountFactory(kind="twitter", name="Acme customers' care in Latin America")  # a long name for a phone
    ChannelAccountFactory(name="Acme on Messenger", kind="messenger")  # waits for its first webhook, in so many words
    return session_of(User.objects.create_superuser("boss"))


@asynccontextmanager
async def dashboards(chromium: str, url: str, session: str, **options: Any) -> AsyncIterator[Desk]:
    """Open a browser. The test's server speaks no websocket: pages complain of that, and poll."""
    async with desk(chromium, url, session, but="/ws/dashboards/", **options) as desktop:
        yield desktop


PAGES = (
    "",
    "sentiment/",
    "service/",
    "channels/",
    "hours/",
    "phrases/",
    "failures/",
    "deflection/",
    "chats/",
    "alerts/",
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [{"width": 1440, "height": 900}, PHONE], ids=["desktop", "320px"])
async def test_every_page_can_be_read_and_touched(
    chromium: str, live_server: Any, boss: str, scheme: str, size: Any
) -> None:
    async with dashboards(chromium, live_server.url, boss, viewport=size, color_scheme=scheme) as desktop:
        for path in PAGES:
            await desktop.open(f"/dashboards/{path}?range=24h")
            findings = await desktop.page.evaluate(LOOKS)
            assert findings == {"faint": [], "small": [], "wide": 0}, path


async def test_the_overview_answers_its_five_questions_on_one_screen(
    chromium: str, live_server: Any, boss: str
) -> None:
    async with dashboards(chromium, live_server.url, boss) as desktop:
        await desktop.open("/dashboards/?range=24h")
        for key in ("channels", "failures", "sentiment", "worst", "waiting", "first_response", "volume"):
            box = await desktop.page.locator(f"#tile-{key} h2, #tile-{key} .headline").last.bounding_box()
            assert box
            assert box["y"] + box["height"] <= 900, key


async def test_filters_live_in_the_address_and_it_reproduces_them(chromium: str, live_server: Any, boss: str) -> None:
    async with dashboards(chromium, live_server.url, boss) as desktop:
        await desktop.open("/dashboards/?range=24h")
        await desktop.page.locator("select[name=channel]").select_option("messenger")
        await desktop.page.wait_for_url("**channel=messenger**")
        await expect(value(desktop.page, "volume")).to_have_text("1")
        address = desktop.page.url
        await desktop.page.goto(f"{live_server.url}/dashboards/sentiment/?range=7d")
        await desktop.page.goto(address)
        await expect(value(desktop.page, "volume")).to_have_text("1")
        await expect(desktop.page.locator(".chip")).to_contain_text("channel: messenger")
        await desktop.page.get_by_role("link", name="Clear all").click()
        await expect(value(desktop.page, "volume")).to_have_text("4")


def value(page: Page, key: str) -> Any:
    return page.locator(f"#tile-{key} .value")


async def test_everything_can_be_reached_by_keyboard_and_shows_it(chromium: str, live_server: Any, boss: str) -> None:
    async with dashboards(chromium, live_server.url, boss) as desktop:
        await desktop.open("/dashboards/?range=24h")
        await desktop.page.keyboard.press("Tab")
        await expect(desktop.page.locator(":focus")).to_have_text("Skip to the content")
        reached = set()
        for _ in range(140):
            await desktop.page.keyboard.press("Tab")
            focused = await desktop.page.evaluate(
                """() => {
                    const at = document.activeElement, box = at.getBoundingClientRect(), style = getComputedStyle(at);
                    const top = document.elementFromPoint(box.x + box.width / 2, box.y + Math.min(box.height, 20) / 2);
                    return [at.closest("[data-tile]")?.dataset.tile ?? "", style.outlineStyle !== "none",
                            !top || at.contains(top) || top.contains(at), at.textContent.trim().slice(0, 40),
                            top?.outerHTML.slice(0, 80)];
                }"""
            )
            if focused[0] == "" and focused[3].startswith("Skip"):  # round the whole page, and out of it
                break
            reached.add(focused[0])
            assert focused[1:3] == [True, True], f"no ring, or hidden: {focused}"
        assert {"channels", "sentiment", "worst", "volume", "heat"} <= reached


async def test_arrow_keys_walk_a_chart_and_escape_closes_what_floats(
    chromium: str, live_server: Any, boss: str
) -> None:
    async with dashboards(chromium, live_server.url, boss) as desktop:
        await desktop.open("/dashboards/?range=24h")
        chart = desktop.page.locator("#tile-volume [data-chart]")
        await chart.focus()
        await expect(chart.locator(".hit[data-text*='whatsapp 3']")).to_have_count(1)
        await desktop.page.keyboard.press("End")
        await expect(chart.locator(".reading")).not_to_be_empty()
        first = await chart.locator(".reading").inner_text()
        await desktop.page.keyboard.press("ArrowLeft")
        await expect(chart.locator(".reading")).not_to_have_text(first)
        await desktop.page.keyboard.press("ArrowLeft")
        await sync_to_async(chat)("Late", GOOD)
        await expect(value(desktop.page, "volume")).to_have_text("5")
        await expect(chart).to_have_attribute("data-at", "21")  # the third from the right, whatever comes in
        await expect(chart).to_be_focused()
        await expect(chart.locator(".reading")).not_to_be_empty()
        about = desktop.page.locator("#tile-sentiment .about")
        await about.locator("summary").focus()
        await desktop.page.keyboard.press("Enter")
        await expect(about).to_contain_text("Mean of the chats' ratings")
        await desktop.page.keyboard.press("Escape")
        await expect(about.locator("p").first).to_be_hidden()
        await expect(about.locator("summary")).to_be_focused()


async def test_a_chart_can_be_viewed_as_a_table(chromium: str, live_server: Any, boss: str) -> None:
    async with dashboards(chromium, live_server.url, boss) as desktop:
        await desktop.open("/dashboards/?range=24h")
        await desktop.page.get_by_label("Messages from customers as a table").click()
        await expect(desktop.page.locator("#tile-volume table")).to_contain_text("whatsapp")
        assert await desktop.page.locator("#tile-volume tbody tr").count() == 24


async def test_the_most_negative_chat_is_one_click_away_and_opens_at_its_lowest_message(
    chromium: str, live_server: Any, boss: str
) -> None:
    async with dashboards(chromium, live_server.url, boss) as desktop:
        await desktop.open("/dashboards/?range=24h")
        await desktop.page.locator("#tile-worst .chat").first.focus()
        await desktop.page.keyboard.press("Enter")
        await desktop.page.wait_for_url("**/chat/**#lowest")
        await expect(desktop.page.locator("#lowest")).to_be_in_viewport()
        await expect(desktop.page.locator("#lowest .mark")).to_have_class("mark negative")


async def test_tiles_follow_without_a_socket_and_a_list_waits_for_the_pointer(
    chromium: str, live_server: Any, boss: str
) -> None:
    async with dashboards(chromium, live_server.url, boss) as desktop:
        await desktop.open("/dashboards/?range=24h")
        names = desktop.page.locator("#tile-worst .chat strong")
        before = await names.all_inner_texts()
        await desktop.page.locator("#tile-worst .chat").first.hover()
        await sync_to_async(chat)("Furious", BAD)
        await expect(value(desktop.page, "volume")).to_have_text("5")
        await expect(desktop.page.get_by_role("button", name="Show")).to_have_text("1 new · Show")
        assert await names.all_inner_texts() == before, "it moved under the pointer"
        await desktop.page.get_by_role("button", name="Show").click()
        await expect(names).to_have_count(len(before) + 1)


async def test_a_paused_page_stands_still_and_catches_up(chromium: str, live_server: Any, boss: str) -> None:
    async with dashboards(chromium, live_server.url, boss) as desktop:
        await desktop.open("/dashboards/?range=24h")
        await desktop.page.get_by_role("button", name="Pause").click()
        await sync_to_async(chat)("Late", GOOD)
        await expect(desktop.page.locator("[data-live-text]")).to_contain_text("Paused")
        requested: list[str] = []
        desktop.page.on("request", lambda request: requested.append(request.url))
        await desktop.page.wait_for_timeout(6_000)  # longer than between two questions
        assert [url for url in requested if "/parts/" in url] == []
        await desktop.page.get_by_role("button", name="Resume").click()
        await expect(value(desktop.page, "volume")).to_have_text("5")


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("range=24h&queue=Nowhere", "Nothing matches the filters."),
        ("range=custom&since=2020-01-01&until=2020-01-02", "Nothing in this range yet."),
    ],
)
async def test_empty_says_why(chromium: str, live_server: Any, boss: str, query: str, text: str) -> None:
    async with dashboards(chromium, live_server.url, boss) as desktop:
        await desktop.open(f"/dashboards/?{query}")
        await expect(desktop.page.locator("#tile-sentiment")).to_contain_text(text)
