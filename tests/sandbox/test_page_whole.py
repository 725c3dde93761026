"""The sandbox page in a browser, against the whole product as `manage.py sandbox` runs it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import pytest_asyncio
from django.utils.crypto import salted_hmac
from playwright.async_api import expect

from sandbox import demo
from tests.sandbox.page_kit import Window, launched, window

MANAGE = Path(__file__).parents[2] / "manage.py"
#: Seconds for the first start on an empty database: migrations included.
START = 180
CUSTOMERS = ("twitter", "messenger", "whatsapp")
#: Milliseconds that the dashboard gets for news.
PATIENCE = 40_000
pytestmark = [
    pytest.mark.browser,
    pytest.mark.whole,
    pytest.mark.timeout(240),
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest.fixture(scope="module")
def database(postgres: str) -> Iterator[str]:
    name = f"parley_{uuid.uuid4().hex[:12]}"
    parts = urlsplit(postgres)
    with psycopg.connect(urlunsplit(parts._replace(path="/postgres", query="")), autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        yield urlunsplit(parts._replace(path=f"/{name}", query=""))
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def sandbox(database: str) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, str(MANAGE), "sandbox", "--weeks", "0", "--port", str(port)]
    environment = {**os.environ, "DATABASE_URL": database, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, text=True) as run:
        said: list[str] = []
        ready = threading.Event()
        reader = threading.Thread(target=listen, args=(run, said, ready))
        reader.start()
        try:
            assert ready.wait(START), "".join(said)
            assert run.poll() is None, "".join(said)
            yield f"http://127.0.0.1:{port}/"
        finally:
            run.terminate()
            run.wait(30)
            reader.join(10)


def listen(run: subprocess.Popen[str], said: list[str], ready: threading.Event) -> None:
    """Keep what the product prints; it is ready when it has said how to end it."""
    assert run.stdout is not None
    for line in run.stdout:
        said.append(line)
        if "Ctrl-C" in line:
            ready.set()
    ready.set()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page(chromium: str, sandbox: str) -> AsyncIterator[Window]:
    async with launched(chromium) as browser, window(browser, sandbox) as opened:
        await expect(opened.page.locator(".starters:visible")).to_have_count(3)  # every phone has found its account
        yield opened


async def someone_new(page: Window, kind: str) -> str:
    """Hand a phone to somebody who has no chat yet, whichever tests came before; return who it is."""
    await page.phone(kind).get_by_role("button", name="Someone new writes").click()
    title = await page.phone(kind).locator("button[aria-pressed=true][title]").get_attribute("title")
    assert title
    return title.partition(" · ")[0]


@pytest.mark.parametrize("kind", CUSTOMERS)
async def test_a_customer_writes_the_agent_answers_and_the_phone_shows_it(page: Window, kind: str) -> None:
    name = await someone_new(page, kind)
    await page.write(kind, f"Where is my parcel? {kind}")
    await page.accept(name)
    pane = page.page.locator(".pane:visible")
    await expect(pane.locator(".transcript")).to_contain_text(f"Where is my parcel? {kind}")

    await pane.get_by_label("Answer").press_sequentially("On its way")
    await pane.get_by_label("Answer").press("Enter")

    await expect(page.phone(kind).locator(".bubble.theirs").last).to_contain_text("On its way")
    way = page.page.locator(".journey", has_text=f"Agent → {name}").filter(has_text="On its way").first
    await expect(way.locator(".total")).to_have_text(re.compile(r"\d+ (ms|s)"))
    await expect(way).to_contain_text("on the phone")


async def test_an_answer_still_arrives_after_a_transfer(page: Window) -> None:
    name = await someone_new(page, "messenger")
    await page.write("messenger", "I want to cancel")
    await page.accept(name)
    await expect(page.page.locator(".transcript:visible")).to_contain_text("I want to cancel")
    await page.page.locator(".pane:visible").get_by_role("button", name="Transfer").click()
    await page.page.get_by_role("button", name="Billing").click()
    await page.accept(name)
    pane = page.page.locator(".pane:visible")
    await expect(pane.locator(".transcript")).to_contain_text("Transferred")

    await pane.get_by_label("Answer").press_sequentially("Done")
    await pane.get_by_label("Answer").press("Enter")

    await expect(page.phone("messenger").locator(".bubble.theirs").last).to_contain_text("Done")


async def test_a_forgery_is_refused_and_three_deliveries_arrive_once(page: Window) -> None:
    phone = page.phone("whatsapp")
    await phone.get_by_role("button", name="Jonas").click()
    for label in ("forged", "three times"):
        await phone.get_by_role("button", name="Send something else").click()
        await phone.get_by_role("button", name=label).click()
        await expect(phone.get_by_role("status")).to_contain_text("as it should be" if label == "forged" else "200")

    await page.page.get_by_role("button", name="Accept Jonas Weber").click()
    transcript = page.transcript("Jonas Weber")
    await expect(transcript.get_by_text("The same message, three times")).to_have_count(1)
    await expect(transcript.get_by_text("I am not who I say I am")).to_have_count(0)


async def test_a_played_scene_serves_all_three_customers(page: Window) -> None:
    await page.page.get_by_role("button", name="Reset").click()
    await page.page.get_by_text("Reset: the phones").wait_for()
    await page.page.get_by_role("button", name="Play a scene").click()

    await expect(page.page.locator("#toasts")).to_contain_text("Your turn", timeout=60_000)
    for kind in CUSTOMERS:
        await expect(page.phone(kind).locator(".bubble.theirs").last).to_contain_text(
            re.compile("sorry|one more year|refunded")
        )


async def test_what_a_phone_writes_moves_the_dashboard(page: Window, sandbox: str) -> None:
    assert page.page.context.browser
    context = await page.page.context.browser.new_context(viewport={"width": 1440, "height": 900})
    board = await context.new_page()
    await board.goto(f"{sandbox}admin/login/")
    await board.locator("[name=login]").fill(demo.LOGIN)
    await board.locator("[name=password]").fill(salted_hmac("sandbox", "the demo login").hexdigest()[:12])
    await board.locator("[name=password]").press("Enter")
    await board.wait_for_url(f"{sandbox}**")
    await board.goto(f"{sandbox}dashboards/?range=24h")
    await expect(board.locator("[data-live-text]")).not_to_contain_text("polling", timeout=PATIENCE)
    volume, scored = board.locator("#tile-volume .value"), board.locator("#tile-sentiment .n")
    await page.phone("messenger").get_by_role("button", name="Ana").click()
    # Nobody may have written before, and a tile that counts nothing shows no number.
    await page.write("messenger", "Good morning, this is lovely")
    await volume.wait_for(timeout=PATIENCE)
    await scored.wait_for(timeout=PATIENCE)
    before, n = await volume.inner_text(), await scored.inner_text()

    await page.phone("messenger").get_by_role("button", name="Ben").click()
    await page.write("messenger", "This is terrible, I am furious")

    # Seconds on an idle machine; here others may be busy.
    await expect(volume).not_to_have_text(before, timeout=PATIENCE)
    await expect(scored).not_to_have_text(n, timeout=PATIENCE)
    await expect(board.locator("#tile-worst .chat").first).to_contain_text("This is terrible, I am furious")
    await context.close()
