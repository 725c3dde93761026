"""The sandbox page in a browser, against the simulated world alone: here the test is the company."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Route, expect

from tests.sandbox.page_kit import DELIVERED, SENT, Company, Window, launched, served, settled, window

if TYPE_CHECKING:
    from conftest import RunningWorld

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
HOSTILE = "<img src=x onerror=\"document.title='owned'\"><b>hi</b>"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    async with launched(chromium) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def company(aws: RunningWorld) -> AsyncIterator[Company]:
    async with settled(aws) as acme:
        yield acme


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser, settings: Any, company: Company) -> AsyncIterator[Window]:
    with served(settings, company.aws.url) as url:
        async with window(browser, url) as opened:
            yield opened


async def held(page: Window, address: str) -> asyncio.Event:
    """Hold what the page asks of this address back until the event is set."""
    go_on = asyncio.Event()

    async def hold(route: Route) -> None:
        await go_on.wait()
        await route.continue_()

    await page.page.route(address, hold)
    return go_on


async def test_what_is_typed_on_a_phone_goes_to_the_webhook_and_the_answer_comes_up(
    page: Window, company: Company
) -> None:
    await page.write("messenger", "Is anybody there?")
    mine = page.phone("messenger").locator(".bubble.mine")
    await expect(mine).to_contain_text("Is anybody there?")
    await expect(mine).to_contain_text(DELIVERED)
    assert company.webhooks == 1

    await company.tell_ana("Good morning, Ana")

    await expect(page.phone("messenger").locator(".bubble.theirs")).to_contain_text("Good morning, Ana")
    await expect(page.page.locator("#announcer")).to_contain_text("Good morning, Ana")


async def test_each_customer_of_a_phone_has_a_thread_and_a_mark_for_what_is_new(page: Window, company: Company) -> None:
    await page.write("messenger", "I am Ana")
    await page.phone("messenger").get_by_role("button", name="Ben").click()
    await expect(page.phone("messenger").locator(".bubble")).to_have_count(0)

    await company.tell_ana("Hello Ana")
    marked = page.phone("messenger").get_by_role("button", name=re.compile("Ana.*1 new"))
    await marked.click()

    await expect(page.phone("messenger").locator(".bubble")).to_have_count(2)
    await expect(marked).to_have_count(0)


async def test_the_menu_sends_what_the_messenger_can_carry(page: Window, company: Company) -> None:
    for number, label in enumerate(("Photo", "Location", "Voice note", "Sticker", "Contact card"), 1):
        await page.phone("whatsapp").get_by_role("button", name="Send something else").click()
        await page.phone("whatsapp").get_by_role("button", name=label, exact=True).click()
        await expect(page.phone("whatsapp").locator(".bubble")).to_have_count(number)

    await expect(page.phone("whatsapp").get_by_role("img", name="Photo")).to_be_visible()
    sent = [line["type"] for line in company.aws.lines("phone.message")]
    assert sent == ["image", "location", "voice", "sticker", "contact"]


async def test_a_burst_is_four_messages_and_three_deliveries_are_one(page: Window, company: Company) -> None:
    for label in ("Burst of four short lines", "Text, delivered three times"):
        await page.phone("twitter").get_by_role("button", name="Send something else").click()
        await page.phone("twitter").get_by_role("button", name=label).click()
        await expect(page.phone("twitter").locator(".bubble.mine")).to_have_count(4 if "Burst" in label else 5)

    await expect(page.phone("twitter").get_by_role("status")).to_contain_text("Delivered 3 times")
    assert company.webhooks == 4 + 3


async def test_a_forgery_that_is_taken_is_called_out(page: Window) -> None:
    await page.phone("messenger").get_by_role("button", name="Send something else").click()
    await page.phone("messenger").get_by_role("button", name="forged").click()

    await expect(page.phone("messenger").get_by_role("status")).to_contain_text("it was ACCEPTED")


async def test_the_agent_accepts_answers_transfers_and_ends(page: Window, company: Company) -> None:
    customer = await company.chat("Jane", "My parcel is late")
    await page.accept("Jane")
    await expect(page.transcript("Jane")).to_contain_text("My parcel is late")
    await page.answer("Jane", "I will look")
    await expect(page.transcript("Jane").locator(".bubble.mine")).to_contain_text(SENT)
    await page.page.get_by_role("button", name="Transfer", exact=True).click()
    await page.page.get_by_role("button", name="Billing").click()

    await page.accept("Jane")
    await expect(page.transcript("Jane")).to_contain_text("Transferred")
    await expect(page.page.locator(".pane-who:visible")).to_contain_text("Billing")
    await page.page.get_by_role("button", name="End", exact=True).click()

    await expect(page.page.get_by_text("This chat has ended.")).to_be_visible()
    assert [line["initial_contact_id"] for line in company.aws.lines("connect.ended")] == [customer.contact_id]
    assert "I will look" in [line["text"] for line in company.aws.lines("participant.SendMessage")]


async def test_an_answer_typed_before_the_agent_is_connected_waits_for_that(page: Window, company: Company) -> None:
    admitted = await held(page, "**/participant/connection")
    customer = await company.chat("Jane", "Quick, please")
    await page.accept("Jane")
    await page.answer("Jane", "Here already")
    await expect(page.transcript("Jane").locator(".bubble.mine")).to_contain_text("being sent")
    admitted.set()

    await expect(page.transcript("Jane").locator(".bubble.mine")).to_contain_text(SENT)
    assert "Here already" in await asyncio.to_thread(customer.said)


async def test_an_accepted_chat_waits_no_more_however_long_the_queue_takes_to_say_so(
    page: Window, company: Company
) -> None:
    await company.chat("Jane", "One")
    await page.page.get_by_role("button", name="Accept Jane").wait_for()
    answered = await held(page, "**/ccp/queue")
    await page.accept("Jane")
    await expect(page.transcript("Jane")).to_contain_text("One")

    await expect(page.page.get_by_role("button", name="Accept Jane")).to_have_count(0)
    answered.set()


async def test_chats_that_nobody_looks_at_are_marked_and_reading_them_is_told(page: Window, company: Company) -> None:
    first = await company.chat("Jane", "One")
    await page.accept("Jane")
    await expect(page.transcript("Jane")).to_contain_text("One")
    await company.chat("Omar", "Two")
    await page.accept("Omar")
    await expect(page.transcript("Omar")).to_be_visible()

    await asyncio.to_thread(first.say, "Still there?")
    await expect(page.page.get_by_role("tab", name="Jane").locator(".count")).to_have_text("1")
    await page.page.get_by_role("tab", name="Jane").click()

    await expect(page.page.get_by_role("tab", name="Jane").locator(".count")).to_be_hidden()
    await page.page.locator("#all-events").click()
    await expect(page.page.locator("#lines")).to_contain_text("AGENT · read")


async def test_the_desk_comes_back_after_a_cut_and_shows_what_was_said_meanwhile_once(
    page: Window, company: Company
) -> None:
    customer = await company.chat("Jane", "One")
    await page.accept("Jane")
    await expect(page.transcript("Jane")).to_contain_text("One")

    await company.call("POST", "/world/sockets", {"action": "cut", "role": "AGENT"})
    await asyncio.to_thread(customer.say, "While you were gone")

    said = page.transcript("Jane").locator(".bubble .content")
    await expect(said).to_have_text(["One", "While you were gone"])
    await asyncio.to_thread(customer.say, "And now")
    await expect(said).to_have_text(["One", "While you were gone", "And now"])


async def test_a_message_that_is_refused_says_so_and_is_not_shown_as_sent(page: Window, company: Company) -> None:
    await company.chat("Jane", "One")
    await page.accept("Jane")
    await company.call("POST", "/world/faults", {"name": "auth", "target": "SendMessage"})

    await page.answer("Jane", "Hello")

    await expect(page.transcript("Jane").locator(".bubble.mine")).to_contain_text("not delivered")
    await expect(page.page.locator("#toasts")).to_contain_text("Not sent to Jane")
    page.complaints[:] = [said for said in page.complaints if "403" not in said]


async def test_a_reload_keeps_the_threads_and_the_open_chats(page: Window, company: Company) -> None:
    await page.write("messenger", "Hello")
    await company.chat("Jane", "One")
    await page.accept("Jane")
    await page.answer("Jane", "Two")
    await expect(page.transcript("Jane").locator(".bubble.mine")).to_contain_text(SENT)

    await page.page.reload()

    await expect(page.transcript("Jane")).to_contain_text(re.compile("One.*Two", re.DOTALL))
    await expect(page.phone("messenger").locator(".bubble.mine")).to_contain_text("Hello")


async def test_what_customers_write_stays_text(page: Window, company: Company) -> None:
    await page.write("messenger", HOSTILE)
    await company.chat(HOSTILE[:256], HOSTILE)
    await page.page.get_by_role("button", name="Accept").click()

    await expect(page.page.locator(".transcript .bubble")).to_contain_text(HOSTILE)
    await expect(page.phone("messenger").locator(".bubble")).to_contain_text(HOSTILE)
    await expect(page.page.locator("#journeys")).to_contain_text(HOSTILE)
    assert await page.page.locator("img, .bubble b, .name b").count() == 0
    assert "owned" not in await page.page.title()


async def test_the_tail_shows_the_hops_of_a_message_and_what_is_behind_each(page: Window) -> None:
    await page.write("messenger", "Follow me")
    journey = page.page.locator(".journey", has_text="Follow me")
    await expect(journey.locator(".hop")).to_have_text([re.compile("written"), re.compile(r"webhook \+\d+")])

    await journey.locator(".hop").nth(1).get_by_role("button").click()

    await expect(page.page.locator("#json")).to_contain_text('"what": "webhook.messenger"')
    await page.page.keyboard.press("Escape")
    await expect(page.page.locator("#detail")).to_be_hidden()


async def test_a_bubble_leads_to_its_way(page: Window) -> None:
    await page.write("messenger", "Where did I go?")
    await page.write("messenger", "And I?")

    await page.phone("messenger").locator(".bubble", has_text="Where did I go?").get_by_role("button").click()

    await expect(page.page.locator("#detail-title")).to_have_text("Where did I go?")
    await expect(page.page.locator(".journey.chosen")).to_contain_text("Where did I go?")


async def test_the_tail_filters_and_pauses(page: Window) -> None:
    await page.write("messenger", "first")
    await expect(page.page.locator(".journey")).to_have_count(1)
    await page.page.get_by_label("Filter the events").fill("nothing like it")
    await expect(page.page.locator("#tail-empty")).to_contain_text("Nothing matches")
    await page.page.get_by_label("Filter the events").fill("")
    await page.page.get_by_role("button", name="Pause").click()

    await page.write("messenger", "second")
    await expect(page.page.locator("#tail-note")).to_contain_text("new")
    await expect(page.page.locator(".journey")).to_have_count(1)
    await page.page.get_by_role("button", name="Go on").click()

    await expect(page.page.locator(".journey")).to_have_count(2)


async def test_reset_empties_the_page_and_keeps_the_flows(page: Window, company: Company) -> None:
    await company.call("PUT", "/world/flows/flow", {"greeting": "Welcome"})
    await page.write("messenger", "Hello")
    await company.chat("Jane", "One")
    await page.accept("Jane")

    await page.page.get_by_role("button", name="Reset").click()

    await expect(page.page.locator(".bubble")).to_have_count(0)
    await expect(page.page.get_by_role("tab")).to_have_count(0)
    await expect(page.page.get_by_text("Available")).to_be_visible()
    assert (await company.call("GET", "/world/flows/flow"))["greeting"] == "Welcome"
    # What was on its way to the world that is gone was refused, and the browser says so.
    refused = ("Failed to load resource", "WebSocket connection")
    page.complaints[:] = [said for said in page.complaints if not any(words in said for words in refused)]


async def test_a_fault_is_switched_on_counted_and_repaired(page: Window, company: Company) -> None:
    await page.page.get_by_role("button", name="Break something").click()
    await page.page.get_by_role("button", name="Throttle SendMessage").click()
    await expect(page.page.locator("#broken")).to_have_text("1")
    assert [fault["name"] for fault in await company.call("GET", "/world/faults")] == ["throttle"]

    await page.page.get_by_role("button", name="Break something").click()
    await page.page.get_by_role("button", name="Repair everything").click()

    await expect(page.page.locator("#broken")).to_be_hidden()
    assert await company.call("GET", "/world/faults") == []


async def test_a_world_that_is_gone_is_said_in_words_until_it_is_back(page: Window) -> None:
    await page.page.route("**/*", lambda route: route.abort())
    await page.page.get_by_role("button", name="Reset").click()
    await expect(page.page.locator("#toasts")).to_contain_text("does not answer")
    await expect(page.page.locator("#agent-status")).to_contain_text("Not connected")

    await page.page.unroute_all()

    await expect(page.page.locator("#agent-status")).to_contain_text("Available")
    page.complaints[:] = [said for said in page.complaints if "ERR_FAILED" not in said]
