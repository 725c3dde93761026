"""Which tests start a process or a server: told from what a test, its fixtures and its helpers call."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from types import CodeType, FunctionType
from typing import Any

import pytest

#: Names that a function mentions when it starts something → the marker that its tests get. `serving`, `live_server` and
#: `running_server` are functions and fixtures of ours and of pytest-django, the others are classes and modules.
STARTS = {
    "subprocess": "process",
    "multiprocessing": "process",
    "create_subprocess_exec": "process",
    "create_subprocess_shell": "process",
    "database_url": "process",
    "serving": "server",
    "live_server": "server",
    "start_server": "server",
    "create_server": "server",
    "TestServer": "server",
    "TCPSite": "server",
    "UnixSite": "server",
    "HTTPServer": "server",
    "ThreadingHTTPServer": "server",
    "TCPServer": "server",
}
#: The database is there for every test, and a free port is only looked up.
NOT_STARTED_BY_TESTS = {"postgres", "free_port"}
#: Tests that start neither, use no browser and no other program, and do not take long.
FAST = "not (process or server or slow or browser or whole or node or nginx)"


def mark(items: list[pytest.Item]) -> None:
    """Add the markers `process` and `server` to the tests that need them."""
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
        if name in STARTS:
            yield STARTS[name]
        yield from _walk(thing.__globals__.get(name), seen)


def _names(code: CodeType) -> Iterator[str]:
    """Yield every name that the code mentions, in functions inside it as well."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


if __name__ == "__main__":
    print(FAST)  # for `make test-fast`
