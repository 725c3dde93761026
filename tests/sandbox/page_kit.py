"""The sandbox page in a real browser: served from a thread, watched for errors and for requests to strangers."""

from __future__ import annotations

import asyncio
import re
import runpy
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, make_server

from aiohttp import web
from aiohttp.test_utils import TestServer
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.handlers.wsgi import WSGIHandler
from playwright.async_api import Browser, ConsoleMessage, Locator, Page, Request, async_playwright, expect

from tests.sandbox.messengers_kit import ADDRESSES, CREDENTIALS

if TYPE_CHECKING:
    from conftest import RunningWorld

TestServer.__test__ = False
URLS = Path(__file__).parents[2] / "config" / "urls.py"
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP = {"width": 1440, "height": 900}
#: What a message's tick says in words once it is there, and not before: "being sent", "not delivered".
SENT, DELIVERED = re.compile("(?<!being )sent"), re.compile("(?<!not )delivered")
#: Milliseconds that the page gets for anything, however busy the machine is.
PATIENCE = 60_000
expect.set_options(timeout=PATIENCE)


ANA = "7100000000000101"


class Company:
    """The other end of the phones: has an account on every messenger and takes every webhook, forged ones too."""

    def __init__(self, aws: RunningWorld) -> None:
        self.aws = aws
        self.webhooks = 0

    async def take(self, request: web.Request) -> web.Response:
        self.webhooks += request.method == "POST"  # the others are handshakes
        return web.Response(text="ok")

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        return await asyncio.to_thread(self.aws.call, method, path, body)

    async def tell_ana(self, text: str) -> None:
        message = {"recipient": {"id": ANA}, "messaging_type": "RESPONSE", "message": {"text": text}}
        token = CREDENTIALS["messenger"]["page_access_token"]
        await self.call("POST", f"/graph/v26.0/{ADDRESSES['messenger']}/messages?access_token={token}", message)

    async def chat(self, name: str, text: str) -> Any:
        """Bring a customer to the queue, who says this."""
        customer = await asyncio.to_thread(self.aws.start, ParticipantDetails={"DisplayName": name})
        async with customer.line():  # the flow begins when the customer is connected
            await asyncio.to_thread(customer.say, text)
        return customer


@asynccontextmanager
async def settled(aws: RunningWorld) -> AsyncIterator[Company]:
    """Register a company in this world, with a webhook."""
    company = Company(aws)
    app = web.Application()
    app.router.add_route("*", "/hook", company.take)
    async with TestServer(app) as server:
        for kind, credentials in CREDENTIALS.items():
            account = {"kind": kind, "webhook_url": str(server.make_url("/hook")), "credentials": credentials}
            await company.call("POST", "/phones/accounts", account | {"name": "Acme"})
        yield company


class Silent(WSGIRequestHandler):
    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


def front(settings: Any, world: str) -> None:
    """Set the URLs up as they are where this simulated world (or none) is configured."""
    settings.SANDBOX_WORLD_URL = world
    module = ModuleType("front")
    module.urlpatterns = runpy.run_path(str(URLS))["urlpatterns"]  # type: ignore[attr-defined]
    settings.ROOT_URLCONF = module


@contextmanager
def served(settings: Any, world: str) -> Iterator[str]:
    """Serve Parley's pages, without a database, and yield their address."""
    front(settings, world)
    with make_server("127.0.0.1", 0, StaticFilesHandler(WSGIHandler()), handler_class=Silent) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join(10)


@dataclass
class Window:
    """One page and what must never happen in it."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.set_default_timeout(PATIENCE)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("request", self._asked)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"console: {message.text}")

    def _asked(self, request: Request) -> None:
        if urlsplit(request.url).hostname not in ("127.0.0.1", None):
            self.complaints.append(f"left this machine: {request.url}")

    def phone(self, kind: str) -> Locator:
        return self.page.locator(f'.phone[data-kind="{kind}"]')

    async def write(self, kind: str, text: str) -> None:
        """Type on a phone as a person does, press Enter, and wait until the messenger has taken it."""
        box = self.phone(kind).get_by_placeholder("Message")
        mine = self.phone(kind).locator(".bubble.mine")
        await expect(box).to_be_enabled()  # keys pressed before the phone has found its account are lost
        before = await mine.count()
        await box.press_sequentially(text)
        await box.press("Enter")
        await expect(mine).to_have_count(before + 1)

    async def accept(self, name: str) -> None:
        await self.page.get_by_role("button", name=f"Accept {name}", exact=True).click()

    async def answer(self, name: str, text: str) -> None:
        box = self.page.get_by_label(f"Answer {name}", exact=True)
        await box.press_sequentially(text)
        await box.press("Enter")

    def transcript(self, name: str) -> Locator:
        return self.page.get_by_label(f"Conversation with {name}", exact=True)


@asynccontextmanager
async def launched(chromium: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        await browser.close()


@asynccontextmanager
async def window(browser: Browser, url: str, **options: Any) -> AsyncIterator[Window]:
    """Open the page at desktop size; afterwards fail on any complaint that the test has not cleared."""
    context = await browser.new_context(**({"viewport": DESKTOP} | options))
    opened = Window(await context.new_page())
    opened.watch()
    await opened.page.goto(url)
    await opened.page.get_by_text("Available").wait_for()
    yield opened
    await context.close()
    assert not opened.complaints, opened.complaints
