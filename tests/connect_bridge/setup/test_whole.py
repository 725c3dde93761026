"""A supervisor sets each channel up until a message went round, then it breaks, and the page says how to mend it.

In a browser, against the whole product and the simulated providers.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import pytest_asyncio
import requests
from playwright.async_api import Locator, Page, expect

from tests.admin_kit import Desk, desk

MANAGE = Path(__file__).parents[3] / "manage.py"
#: Seconds for the first start on an empty database, and milliseconds for a message to go round, on a busy machine.
START = 300
ROUND = 120_000
NEW: dict[str, dict[str, str]] = {
    "twitter": {
        "consumer_key": "wizardConsumerKey",
        "consumer_secret": "wizard-consumer-secret-0000000000",
        "access_token": "1900000000000000001-wizardAccessToken",
        "access_token_secret": "wizard-access-token-secret-00000",
        "user_id": "1900000000000000001",
    },
    "messenger": {
        "app_secret": "7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a",
        "page_id": "300000000000001",
        "page_access_token": "EAAwizardPageAccessToken",
        "verify_token": "wizard-verify-token",
    },
    "whatsapp": {
        "account_sid": "AC7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a",
        "auth_token": "7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b",
        "number": "+15550100777",
    },
}
ADDRESS = {"twitter": "user_id", "messenger": "page_id", "whatsapp": "number"}
LABELS = {"twitter": "X", "messenger": "Messenger", "whatsapp": "WhatsApp (Twilio)"}
PERSON = {"twitter": "8100000000000000001", "messenger": "8100000000000001", "whatsapp": "15550188888"}
#: Another customer on Messenger, with whom a chat begins anew: the contact flow greets them.
STRANGER = "8100000000000002"
GREETING = "Thank you for writing to Acme."
WRONG = {"twitter": "consumer_secret", "messenger": "page_access_token", "whatsapp": "auth_token"}

pytestmark = [
    pytest.mark.browser,
    pytest.mark.whole,
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="module"),
]


@dataclass
class Product:
    """The running product, its login, the simulated world beside it, and the channels that were set up."""

    url: str
    password: str
    world: str
    set_up: set[str] = field(default_factory=set)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        answer = requests.request(method, self.world + path, json=body, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def register(self, kind: str, **changed: str) -> None:
        """Tell the world of our account there, or change what it knows; its webhook stays."""
        credentials = NEW[kind] | changed
        accounts = {(account["kind"], account["address"]): account for account in self.call("GET", "/phones/accounts")}
        url = accounts.get((kind, credentials[ADDRESS[kind]]), {}).get("webhook_url", "")
        self.call("POST", "/phones/accounts", {"kind": kind, "credentials": credentials, "webhook_url": url})

    def write(self, kind: str, text: str, person: str = "") -> list[dict[str, Any]]:
        body = {"from": {"id": person or PERSON[kind], "name": "Ana"}, "content": {"type": "text", "text": text}}
        path = f"/phones/{kind}/{NEW[kind][ADDRESS[kind]]}/messages"
        return list(self.call("POST", path, body)["deliveries"])

    def phone(self, kind: str, person: str) -> str:
        """Return everything on somebody's phone, as text."""
        return str(self.call("GET", f"/phones/{kind}/{NEW[kind][ADDRESS[kind]]}/threads/{person}"))


@pytest.fixture(scope="module")
def product(postgres: str) -> Iterator[Product]:
    name = f"parley_{uuid.uuid4().hex[:12]}"
    parts = urlsplit(postgres)
    with psycopg.connect(urlunsplit(parts._replace(path="/postgres", query="")), autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        try:
            yield from running(urlunsplit(parts._replace(path=f"/{name}", query="")))
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def running(database: str) -> Iterator[Product]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, str(MANAGE), "sandbox", "--port", str(port)]
    environment = {**os.environ, "DATABASE_URL": database, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, text=True) as run:
        output: list[str] = []
        ready = threading.Event()
        reader = threading.Thread(target=listen, args=(run, output, ready))
        reader.start()
        try:
            assert ready.wait(START), "".join(output)
            assert run.poll() is None, "".join(output)
            printed = "".join(output)
            password, world = re.search(r"password (\w+)", printed), re.search(r"World\s+(http\S+)", printed)
            assert password, printed
            assert world, printed
            yield Product(f"http://127.0.0.1:{port}", password[1], world[1])
        finally:
            run.terminate()
            run.wait(30)
            reader.join(10)


def listen(run: subprocess.Popen[str], output: list[str], ready: threading.Event) -> None:
    assert run.stdout is not None
    for line in run.stdout:
        output.append(line)
        if "Ctrl-C" in line:
            ready.set()
    ready.set()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(chromium: str, product: Product) -> AsyncIterator[Desk]:
    async with desk(chromium, product.url) as opened:
        await opened.page.goto(f"{product.url}/admin/login/?next=/admin/channels/")
        await opened.page.locator("[name=username], [name=login]").fill("demo")
        await opened.page.locator("[name=password]").fill(product.password)
        await opened.page.locator("[name=password]").press("Enter")
        await opened.page.wait_for_url("**/admin/channels/")
        yield opened


async def to_step(page: Page, name: str) -> None:
    await page.get_by_role("navigation", name="Steps").get_by_role("link", name=re.compile(rf"^\d {name}")).click()
    await expect(page.locator(".p-steps .is-here")).to_contain_text(name)


async def checked(page: Page) -> str:
    """Run the checks and return what they came to."""
    await page.get_by_role("button", name="Run the checks").wait_for()
    output = page.locator("#checks-said")
    if await page.get_by_role("button", name="Run the checks").is_enabled():
        await page.get_by_role("button", name="Run the checks").click()
    await expect(output).to_have_text(re.compile("to mend|All is well"), timeout=ROUND)
    return str(await output.inner_text())


def account_of(page: Page) -> str:
    match = re.search(r"/channels/([0-9a-f-]{36})/", page.url)
    assert match
    return match[1]


async def set_up(product: Product, here: Desk, kind: str) -> Page:
    """Go through all steps as a supervisor does, a wrong secret first; return the page on which the account is live."""
    page = here.page
    product.register(kind)
    await page.goto(f"{product.url}/admin/channels/")
    await page.get_by_role("link", name="Add a channel").first.click()
    await page.get_by_role("button", name=re.compile(f"^{re.escape(LABELS[kind])}")).click()
    await page.get_by_role("link", name="I have it all").click()

    await page.get_by_label("Name").fill(f"New {kind}")
    for key, text in NEW[kind].items():
        await page.locator(f"[name=credential_{key}]").fill(text)
    await page.locator(f"[name=credential_{WRONG[kind]}]").fill("this-is-not-the-one-that-is-set")
    await page.get_by_role("button", name="Check and save").click()
    await expect(page.get_by_role("alert")).to_contain_text("Not saved.")
    await page.locator(f"[name=credential_{WRONG[kind]}]").fill(NEW[kind][WRONG[kind]])
    await page.get_by_role("button", name="Check and save").click()

    await expect(page.locator("#webhook-url")).to_contain_text(f"/webhooks/{kind}/{account_of(page)}/")
    await page.get_by_role("button", name="Register our address").click()
    await expect(page.locator(".p-steps .is-here")).to_contain_text("Verify")
    assert await checked(page) == "All is well."
    await page.get_by_role("link", name="Go on").click()
    await page.get_by_role("button", name="Save and go on").click()
    await expect(page.locator(".p-steps .is-here")).to_contain_text("Hours")
    await page.get_by_role("button", name="Save and go on").click()

    await page.get_by_role("button", name="Send test message").click()
    assert all(answer["status"] == 200 for answer in product.write(kind, await page.locator("#test-text").inner_text()))
    await expect(page.locator("#trip")).to_contain_text("It works", timeout=ROUND)
    await page.get_by_role("link", name="See it live").click()

    await expect(page.locator(".p-state")).to_have_text(re.compile("Live"))
    assert await page.locator(".p-stages .is-ok").count() == 5
    product.set_up.add(kind)
    return page


async def live_page(product: Product, here: Desk, kind: str) -> Page:
    """Open an account's status, of a channel that was set up here."""
    if kind not in product.set_up:
        await set_up(product, here, kind)
    await here.page.goto(f"{product.url}/admin/channels/")
    await here.page.get_by_role("link", name=f"New {kind}", exact=True).click()
    return here.page


async def well_again(product: Product, here: Desk, kind: str) -> Page:
    """Mend whatever another test has done to an account: what it is known by, its address there, its last message."""
    page = await live_page(product, here, kind)
    product.register(kind)
    await to_step(page, "Webhook")
    await page.get_by_role("button", name="Register our address").click()
    assert await checked(page) == "All is well."
    deadline = time.monotonic() + ROUND / 1000
    while True:  # the page shows a moment: on a busy machine the round may not be over
        assert all(answer["status"] == 200 for answer in product.write(kind, "Are you there again?"))
        page = await live_page(product, here, kind)
        if "Live" in await page.locator(".p-state").first.inner_text():
            return page
        assert time.monotonic() < deadline, await page.locator("body").inner_text()
        await asyncio.sleep(1)


@pytest.mark.parametrize("kind", NEW)
async def test_a_channel_is_set_up_until_a_message_went_round(product: Product, here: Desk, kind: str) -> None:
    page = await (well_again if kind in product.set_up else set_up)(product, here, kind)

    await expect(page.locator(".p-state").first).to_have_text(re.compile("Live"))
    assert await page.locator(".p-stages .is-ok").count() == 5


async def test_a_second_number_is_set_up_and_its_secret_replaced(product: Product, here: Desk) -> None:
    await live_page(product, here, "whatsapp")
    second = NEW["whatsapp"] | {"number": "+15550100778"}
    product.call("POST", "/phones/accounts", {"kind": "whatsapp", "credentials": second, "webhook_url": ""})
    page = here.page
    await page.goto(f"{product.url}/admin/channels/add/")
    await page.get_by_role("button", name=re.compile(r"^WhatsApp \(Twilio\)")).click()
    await page.get_by_role("link", name="I have it all").click()
    await page.get_by_label("Name").fill("Second number")
    await fill(page, second)
    await expect(page.locator("#webhook-url")).to_contain_text(f"/webhooks/whatsapp/{account_of(page)}/")

    rotated = second | {"auth_token": "7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c"}
    product.call("POST", "/phones/accounts", {"kind": "whatsapp", "credentials": rotated, "webhook_url": ""})
    await to_step(page, "Credentials")
    assert await page.locator("[name=credential_number]").input_value() == second["number"]
    await fill(page, {"auth_token": rotated["auth_token"]})

    await to_step(page, "Test")
    await page.get_by_role("button", name="Send test message").click()
    await expect(page.get_by_role("link", name="the link")).to_have_attribute("href", re.compile("wa.me/15550100778"))
    await expect(page.get_by_role("img", name="QR code of the link")).to_be_visible()


async def fill(page: Page, credentials: dict[str, str]) -> None:
    for key, text in credentials.items():
        await page.locator(f"[name=credential_{key}]").fill(text)
    await page.get_by_role("button", name="Check and save").click()
    await expect(page.locator(".p-steps .is-here")).to_contain_text("Webhook")


async def test_a_wrong_secret_is_named(product: Product, here: Desk) -> None:
    await live_page(product, here, "twitter")
    product.register("twitter", consumer_secret="rotated-at-x-but-not-here-000000")

    assert [answer["status"] for answer in product.write("twitter", "hello?")] == [401]

    page = await live_page(product, here, "twitter")
    await expect(page.locator(".p-state").first).to_have_text(re.compile("Broken"))
    await expect(page.locator(".p-stages .is-bad")).to_contain_text("Signed")
    complaint = page.locator(".p-note.is-bad").first
    await expect(complaint).to_contain_text("signature does not match")
    await expect(complaint).to_contain_text("replace it here")
    product.register("twitter")


async def test_a_page_that_is_not_subscribed_any_more_is_named(product: Product, here: Desk) -> None:
    await live_page(product, here, "messenger")
    token = NEW["messenger"]["page_access_token"]
    product.call("DELETE", f"/graph/v26.0/{NEW['messenger']['page_id']}/subscribed_apps?access_token={token}")
    page = await live_page(product, here, "messenger")

    await to_step(page, "Verify")

    assert await checked(page) == "1 to mend: what to do stands beside it."
    wrong = page.locator(".p-point.is-bad")
    await expect(wrong).to_contain_text("Page subscribed")
    await expect(wrong).to_contain_text("messages")
    await expect(wrong).to_contain_text("Register our address")
    await to_step(page, "Webhook")
    await page.get_by_role("button", name="Register our address").click()
    assert await checked(page) == "All is well."


async def test_an_expired_token_is_named(product: Product, here: Desk) -> None:
    page = await live_page(product, here, "messenger")
    product.register("messenger", token_expires_at="1")
    await to_step(page, "Verify")

    await checked(page)

    await expect(page.locator(".p-point.is-bad").first).to_contain_text("Session has expired")
    await expect(page.locator(".p-point.is-bad").first).to_contain_text("190")
    await expect(page.locator(".p-point.is-bad").first).to_contain_text("Make a new Page access token")
    page = await live_page(product, here, "messenger")
    await expect(page.locator(".p-state").first).to_have_text(re.compile("Needs reconnecting"))
    product.register("messenger")


async def test_another_address_at_twilio_is_shown_beside_ours(product: Product, here: Desk) -> None:
    page = await live_page(product, here, "whatsapp")
    body = {"kind": "whatsapp", "credentials": NEW["whatsapp"], "webhook_url": f"{product.url}/old/"}
    product.call("POST", "/phones/accounts", body)
    await to_step(page, "Verify")

    await checked(page)

    wrong = page.locator(".p-point.is-bad")
    await expect(wrong).to_contain_text("Twilio calls another address")
    await expect(wrong.locator("dd").nth(0)).to_have_text(f"{product.url}/old/")
    await expect(wrong.locator("dd").nth(1)).to_have_text(re.compile(f"/webhooks/whatsapp/{account_of(page)}/"))
    await to_step(page, "Webhook")
    await page.get_by_role("button", name="Register our address").click()
    assert await checked(page) == "All is well."


async def test_a_failed_send_is_replayed_and_reaches_the_customer(product: Product, here: Desk) -> None:
    page = await live_page(product, here, "messenger")
    log = f"{product.url}/admin/events/?account={account_of(page)}&direction=out"
    product.register("messenger", token_expires_at="1")
    assert all(answer["status"] == 200 for answer in product.write("messenger", "Is anybody there?", STRANGER))
    row = page.locator(".p-events tbody tr:has([data-way=out])")
    await until_listed(page, f"{log}&fate=failed", row)
    await expect(row).to_contain_text("Session has expired")
    assert GREETING not in product.phone("messenger", STRANGER)

    product.register("messenger")
    await row.get_by_role("checkbox").check()
    await page.get_by_role("button", name="Retry delivery …").click()
    await expect(page.get_by_text("1 message would reach customers.")).to_be_visible()
    assert GREETING not in product.phone("messenger", STRANGER)  # so far it was only asked
    await page.get_by_role("button", name="Send 1 again").click()

    await expect(page.get_by_text("1 on their way to customers again.")).to_be_visible()
    again = page.locator(".p-events tbody tr").filter(has_text="↻")
    await until_listed(page, f"{log}&fate=done", again)
    assert product.phone("messenger", STRANGER).count(GREETING) == 1


async def until_listed(page: Page, address: str, row: Locator) -> None:
    """Open a list again and again until it has the row."""
    deadline = time.monotonic() + ROUND / 1000
    while True:
        await page.goto(address)
        if await row.count():
            return
        assert time.monotonic() < deadline, await page.locator(".p-events tbody").inner_text()
        await asyncio.sleep(0.2)
