"""Which tests start a process or a server, or render pages: told from what they, their fixtures and helpers call."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import cache
from types import CodeType, FunctionType
from typing import Any

import pytest

#: What a function mentions when it starts something, or the name of a fixture → the marker that its tests get.
STARTS = {
    "subprocess": "process",
    "multiprocessing": "process",
    "create_subprocess_exec": "process",
    "create_subprocess_shell": "process",
    "database_url": "process",
    "serving": "server",
    "Supervisor": "process",
    "live_server": "server",
    "serve_forever": "server",
    "ThreadedMotoServer": "server",
    "start_server": "server",
    "create_server": "server",
    "TestServer": "server",
    "TCPSite": "server",
    "UnixSite": "server",
    "HTTPServer": "server",
    "ThreadingHTTPServer": "server",
    "TCPServer": "server",
    "client": "page",
    "admin_client": "page",
}
#: Of these, the ones that are fixtures alone: as names they are common.
FIXTURES = {"client", "admin_client", "database_url", "live_server"}
#: The same for what is recognised by what it is, as its name is common.
CLIENTS = ("django.test.client.Client", "rest_framework.test.APIClient")
#: The database is there for every test, and a free port is only looked up.
NOT_STARTED_BY_TESTS = {"postgres", "free_port"}

#: Marker → programs of which one must be there, and how to get it.
TOOLS = {
    "browser": (("chromium", "chromium-browser", "google-chrome"), "apt-get install -y chromium"),
    "node": (("node",), "apt-get install -y nodejs npm"),
    "nginx": (("nginx", "/usr/sbin/nginx"), "apt-get install -y nginx-light"),
}


def tool(marker: str) -> str | None:
    """Return the path of the program that tests with this marker need, None if it is not installed."""
    return next((path for name in TOOLS[marker][0] if (path := shutil.which(name))), None)


def mark(items: list[pytest.Item]) -> None:
    """Add the markers `process`, `server` and `page` to the tests that need them."""
    for item in items:
        for marker in _started_by(item):
            item.add_marker(marker)


def _started_by(item: pytest.Item) -> set[str]:
    if not isinstance(item, pytest.Function):
        return set()
    started = set(_of_function(item.function))
    for name, definitions in item._fixtureinfo.name2fixturedefs.items():
        if name in NOT_STARTED_BY_TESTS:
            continue
        started |= {STARTS[name]} if name in STARTS else set()
        for definition in definitions:
            started |= _of_function(definition.func)
    return started


@cache
def _of_function(function: Any) -> frozenset[str]:
    return frozenset(_walk(function, set()))


def _walk(thing: Any, seen: set[int]) -> Iterator[str]:
    """Yield the markers of whatever a function or class of the tests, or anything that it calls there, mentions."""
    thing = getattr(thing, "__wrapped__", thing)
    if id(thing) in seen or not str(getattr(thing, "__module__", "")).startswith("tests."):
        return
    seen.add(id(thing))
    if isinstance(thing, type):
        for member in vars(thing).values():
            yield from _walk(getattr(member, "fget", None) or getattr(member, "func", None) or member, seen)
        return
    if not isinstance(thing, FunctionType):
        return
    for name in _names(thing.__code__):
        used = thing.__globals__.get(name)
        if name in STARTS and name not in FIXTURES:
            yield STARTS[name]
        if isinstance(used, type) and f"{used.__module__}.{used.__qualname__}" in CLIENTS:
            yield "page"
        yield from _walk(used, seen)


def _names(code: CodeType) -> Iterator[str]:
    """Yield every name that the code mentions, in functions inside it as well."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
