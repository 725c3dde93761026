"""Names are the field's own: words of the dialect in which this was first written do not come back.

What is kept, and why, stands in the table of docs/adr/0044-rooms.md, from which it is read here.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ADR = "docs/adr/0044-rooms.md"
#: Names of classes, functions, parameters and variables.
IDENTIFIERS = frozenset(
    re.findall(
        r"\w+",
        """
        House Hearing Doubts Look Ruling Vitals Light Pace Paces Services HandOver Wish Door FastLane Knocks Visit
        Stay heirs see_off take_off factread nowread tiles_mood vitals hearing knock knocks fast_lane lane flight
        visit given found told wanted
        """,
    )
)
#: Names of Python files.
MODULES = frozenset(
    re.findall(
        r"\w+",
        """
        house hearing pace services attention starter parts render handover heirs flight replays doubts vitals
        light knocks lane fastlane visit looks seals gate steps caps collector meters schema structs refusals bar
        shapes units factread reading nowread tiles_mood wording saved
        """,
    )
)
#: What docstrings, comments, pages and documents do not say.
PROSE = re.compile(
    r"\b(houses?|knocks?|knocked|knocking|fast lanes?|vitals|heirs?|hearings?|whispers?|whispered)\b", re.IGNORECASE
)


@cache
def files() -> list[str]:
    """Return the project's own text files: migrations, which stay as they are, and this test and its table apart."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    kinds = (".py", ".md", ".html", ".txt", ".toml")
    ours = (name for name in listed if name.endswith(kinds) and "/migrations/" not in name)
    return [name for name in ours if name not in (ADR, "tests/config/test_names.py") and (ROOT / name).exists()]


@cache
def kept() -> list[tuple[str, str]]:
    """Return which word is kept in which files, as patterns."""
    rows = re.findall(r"^\| (`[^|]+`) \| (`[^|]+`) \| [^|]+ \|$", (ROOT / ADR).read_text(), re.MULTILINE)
    return [
        (word, place)
        for words, places in rows
        for word in re.findall(r"`([^`]+)`", words)
        for place in re.findall(r"`([^`]+)`", places)
    ]


def is_kept(word: str, name: str) -> bool:
    return any(word.lower() == other.lower() and fnmatch(name, place) for other, place in kept())


def identifiers(name: str) -> Iterator[tuple[str, int]]:
    """Yield what the file names: its classes, functions, parameters and variables; not columns and fields of others."""
    for node in ast.walk(ast.parse((ROOT / name).read_text())):
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.name, node.lineno
            case ast.arg():
                yield node.arg, node.lineno
            case ast.Name(ctx=ast.Store()):
                yield node.id, node.lineno
            case ast.alias(asname=str() as alias):
                yield alias, node.lineno


def prose(name: str) -> Iterator[tuple[str, int]]:
    """Yield the words of the list that are in the file: of Python what is a comment or a text, of others everything."""
    text = (ROOT / name).read_text()
    pieces = [(text, 1)]
    if name.endswith(".py"):
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        texts = (token for token in tokens if token.type in (tokenize.COMMENT, tokenize.STRING))
        pieces = [(token.string, token.start[0]) for token in texts]
    for piece, first in pieces:
        for word in PROSE.finditer(piece):
            yield word[0], first + piece.count("\n", 0, word.start())


def test_no_identifier_is_of_the_old_dialect() -> None:
    python = [name for name in files() if name.endswith(".py")]

    assert [
        f"{name}:{line} {word}"
        for name in python
        for word, line in identifiers(name)
        if word in IDENTIFIERS and not is_kept(word, name)
    ] == []


def test_no_file_is_named_in_the_old_dialect() -> None:
    python = [Path(name) for name in files() if name.endswith(".py")]

    assert [str(path) for path in python if path.stem in MODULES and not is_kept(path.stem, str(path))] == []


def test_no_text_speaks_the_old_dialect() -> None:
    assert [f"{name}:{line} {word}" for name in files() for word, line in prose(name) if not is_kept(word, name)] == []


def test_each_name_that_is_kept_is_there() -> None:
    everything = {name: (ROOT / name).read_text().lower() for name in files()}

    assert kept()
    assert [
        (word, place)
        for word, place in kept()
        if not any(word.lower() in text for name, text in everything.items() if fnmatch(name, place))
    ] == []


def imported_tests(name: str) -> list[str]:
    """Return the test modules and conftests of ours that the file imports."""
    lines = re.findall(r"^(?:from|import) (tests\.[\w.]+)", (ROOT / name).read_text(), re.MULTILINE)
    return [line for line in lines if line.rpartition(".")[2].startswith(("test_", "conftest"))]


def test_nothing_is_imported_from_a_test_module_or_a_conftest() -> None:
    python = [name for name in files() if name.endswith(".py")]

    assert {name: modules for name in python if (modules := imported_tests(name))} == {}
