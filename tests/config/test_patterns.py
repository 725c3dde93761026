"""Every regular expression of ours against texts made to stall it: its work grows as the text does, and no faster."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("people", "customers", "channels_app", "connect_bridge", "analytics", "config")
CALLS = ("compile", "sub", "subn", "match", "fullmatch", "search", "findall", "finditer", "split")
LENGTH = 8_000
#: How often what a plain scan of the same text costs. A square needs thousands of it, bounded ones under 40.
MOST = 120
PIECES = (
    *("a", "A", "1", " ", "@", ".", "!", "_", "-", "+", "\\", "\n", "\t", "/", ":", ",", "'", '"', "=", "<", "é", "•"),
    *("a@", "a.", "1 ", "1-", "A1", "a@a.", "http://", "https://a", "charset=", "charset ", "\\\\", "\\u0000", "+1"),
    *("09:00-", "PARLEY-", "parley", "`$.", "arn:a:", "ES12 ", "1 2 3 ", "@a", " a", ". ", "the "),
)
#: What stands around the repeated piece. A letter at both ends keeps an anchor at either from having it all at once.
ENDS = (("", ""), ("", "\x00"), ("", "!"), ("", "a@"), ("", "."), ("a", "a"))


def sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from (path for path in (ROOT / package).rglob("*.py") if "migrations" not in path.parts)


def inline() -> Iterator[tuple[str, Any]]:
    """Yield the patterns that are written out where they are used."""
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CALLS):
                continue
            if not (isinstance(node.func.value, ast.Name) and node.func.value.id == "re" and node.args):
                continue
            written = node.args[0]
            if isinstance(written, ast.Constant):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", re.compile(written.value)


def of_modules() -> Iterator[tuple[str, Any]]:
    """Yield the patterns that modules keep, also in tuples and mappings."""
    for package in PACKAGES:
        root = importlib.import_module(package)
        for info in pkgutil.walk_packages(root.__path__, f"{package}."):
            if ".migrations" in info.name or info.name in ("config.wsgi", "config.asgi"):
                continue
            module = importlib.import_module(info.name)
            for name, value in vars(module).items():
                yield from ((f"{info.name}.{name}", one) for one in _in(value))


def _in(value: Any) -> Iterator[Any]:
    if hasattr(value, "finditer") and hasattr(value, "pattern"):
        yield value
    elif isinstance(value, (tuple, list)):
        for one in value:
            yield from _in(one)
    elif isinstance(value, dict):
        yield from _in(list(value.values()))


def patterns() -> dict[str, Any]:
    names: dict[Any, str] = {}
    for name, pattern in [*of_modules(), *inline()]:
        names.setdefault((pattern.pattern, pattern.flags), name)
        PATTERNS[names[(pattern.pattern, pattern.flags)]] = pattern
    return PATTERNS


PATTERNS: dict[str, Any] = {}
_PLAIN = re.compile(r"(?:.|\n)")
_PLAIN_BYTES = re.compile(rb"(?:.|\n)")


def cost(pattern: Any, text: Any) -> float:
    """Return the processor's seconds of looking through a text, whatever else the machine does."""
    began = time.thread_time()
    for _ in pattern.finditer(text):
        pass
    return time.thread_time() - began


def is_slow(pattern: Any, text: Any) -> bool:
    """Measure again before believing it: a page fault must not make a pattern slow."""
    plain = _PLAIN_BYTES if isinstance(pattern.pattern, bytes) else _PLAIN
    return all(cost(pattern, text) > MOST * max(cost(plain, text), 1e-4) for _ in range(3))


def worst_of(pattern: Any) -> str:
    """Return the piece whose repetition stalls the pattern, "" if none does."""
    for piece in PIECES:
        for head, tail in ENDS:
            text: Any = head + piece * (LENGTH // len(piece)) + tail
            if isinstance(pattern.pattern, bytes):
                text = text.encode()
            if is_slow(pattern, text):
                return f"{head!r} {piece!r} … {tail!r}"
    return ""


@pytest.mark.slow
def test_no_pattern_takes_the_square_of_a_texts_length() -> None:
    all_patterns = patterns()

    assert len(all_patterns) > 40
    assert {name: worst for name, pattern in all_patterns.items() if (worst := worst_of(pattern))} == {}


@pytest.mark.parametrize("pattern", [r"[^\s@<>]+@[^\s@<>]+\.\w+", r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", r"^[\W_]+|[\W_]+$"])
def test_the_measure_finds_those_that_we_had(pattern: str) -> None:
    assert worst_of(re.compile(pattern))
