"""SQL writes its own app's tables only; who needs another app's table written uses a statement that its app publishes.

Import contracts cannot see a table's name in a string. Reading is free; migrations are not looked at, since triggers
belong to them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
APPS = ("people", "customers", "channels_app", "connect_bridge", "analytics")
FOLDERS = (*APPS, "config")
#: Stands where an f-string puts something in.
HOLE = "…"
#: The one that is for all tables: it re-encrypts every encrypted field, and asks the models where they are.
FOR_ALL = ["channels_app/accounts/key_rotation.py: UPDATE …"]
#: Verb and table of each write; a table whose name is put together is caught by HOLE.
WRITES = re.compile(
    r"""\b(INSERT\s+INTO|UPDATE|DELETE\s+FROM|TRUNCATE(?:\s+TABLE)?|LOCK\s+TABLE|MERGE\s+INTO|COPY)\s+(?:ONLY\s+)?
        "?((?:people|customers|channels_app|connect_bridge|analytics)_\w+|…\w*)""",
    re.VERBOSE | re.IGNORECASE,
)


def foreign_writes(app: str, source: str) -> Iterator[tuple[str, str]]:
    """Yield verb and table of every write, in a string of this source, to a table that is not the app's."""
    for text in strings(ast.parse(source)):
        for verb, table in WRITES.findall(text):
            if not table.startswith(f"{app}_"):
                yield " ".join(verb.upper().split()), table


def strings(tree: ast.AST) -> Iterator[str]:
    """Yield every string as it is written; adjoining and f-strings as one."""
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else HOLE for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.value


@pytest.mark.parametrize("app", FOLDERS)
def test_an_app_writes_no_other_apps_table(app: str) -> None:
    files = [path for path in (ROOT / app).rglob("*.py") if "migrations" not in path.parts]
    writes = [
        f"{path.relative_to(ROOT)}: {verb} {table}"
        for path in files
        for verb, table in foreign_writes(app, path.read_text())
    ]

    assert files
    assert [write for write in writes if write not in FOR_ALL] == []


@pytest.mark.parametrize(
    ("source", "writes"),
    [
        ('S = "INSERT INTO customers_identity (id) VALUES (1)"', ("INSERT INTO", "customers_identity")),
        (
            'S = "WITH a AS (delete\\n from channels_app_channellog) SELECT 1"',
            ("DELETE FROM", "channels_app_channellog"),
        ),
        ('S = f"UPDATE ONLY people_setting SET x = {1}"', ("UPDATE", "people_setting")),
        ('S = "UPDATE " "analytics_score SET x = 1"', ("UPDATE", "analytics_score")),
        ('S = "TRUNCATE TABLE customers_merge"', ("TRUNCATE TABLE", "customers_merge")),
        ('S = "LOCK TABLE customers_merge IN SHARE MODE"', ("LOCK TABLE", "customers_merge")),
        ('T = "x"; S = f"UPDATE {T} SET x = 1"', ("UPDATE", HOLE)),
    ],
)
def test_a_write_is_found_however_it_is_written(source: str, writes: tuple[str, str]) -> None:
    assert list(foreign_writes("connect_bridge", source)) == [writes]


@pytest.mark.parametrize(
    "source",
    [
        'S = "UPDATE connect_bridge_message SET x = 1"',
        'S = "SELECT 1 FROM customers_identity FOR UPDATE"',
        'S = f"SELECT {1} FROM customers_identity i FOR NO KEY UPDATE OF i"',
        'S = "INSERT INTO connect_bridge_note SELECT id FROM customers_merge ON CONFLICT DO UPDATE SET x = 1"',
    ],
)
def test_own_tables_are_written_and_others_read(source: str) -> None:
    assert not list(foreign_writes("connect_bridge", source))
