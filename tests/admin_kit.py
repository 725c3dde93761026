"""The admin in a real browser: signed in, watched for errors and for requests to strangers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth.models import User
from django.test import Client
from playwright.async_api import ConsoleMessage, Page, Request, async_playwright

from tests.sandbox.page_kit import ARGUMENTS

DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 320, "height": 800}
#: Milliseconds that a page gets for anything, on a machine with other things to do.
PATIENCE = 60_000


@dataclass
class Desk:
    """One signed-in page, the address of Parley, and what must never happen: what the console says but `but`."""

    page: Page
    url: str
    but: str = ""
    complaints: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.set_default_timeout(PATIENCE)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(f"error on {self.page.url}: {error}"))
        self.page.on("request", self._asked)
        self.page.on("dialog", self._dialog)

    async def open(self, path: str) -> None:
        answer = await self.page.goto(self.url + path)
        assert answer is not None
        assert answer.status == 200, f"{path}: {answer.status}"

    async def overflow(self) -> int:
        """Return by how many pixels the page is wider than the window."""
        return int(await self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not (self.but and self.but in message.text):
            self.complaints.append(f"console on {self.page.url}: {message.text}")

    def _asked(self, request: Request) -> None:
        if urlsplit(request.url).hostname not in ("127.0.0.1", "localhost", None, ""):
            self.complaints.append(f"left this machine: {request.url}")

    async def _dialog(self, dialog: Any) -> None:
        self.complaints.append(f"dialog on {self.page.url}: {dialog.message}")
        await dialog.dismiss()


def session_of(user: User) -> str:
    """Sign somebody in and return the session's key. Uses the database: call it outside the event loop."""
    client = Client()
    client.force_login(user)
    return str(client.cookies["sessionid"].value)


@asynccontextmanager
async def desk(chromium: str, url: str, session: str = "", *, but: str = "", **options: Any) -> AsyncIterator[Desk]:
    """Open a browser, signed in if a session is given; afterwards fail on any complaint that was not cleared."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        context = await browser.new_context(**({"viewport": DESKTOP} | options))
        if session:
            await context.add_cookies([{"name": "sessionid", "value": session, "url": url}])
        opened = Desk(await context.new_page(), url, but)
        opened.watch()
        yield opened
        await browser.close()
    assert opened.complaints == []
