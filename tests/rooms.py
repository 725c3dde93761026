"""`python -m tests.rooms`, also `make map`: draw the rooms of each app into the page on architecture, from the imports.

A room is a package or module directly inside an app. An arrow goes down from a room to one that it imports. An arrow
that follows from others is left out, or nobody could read the picture.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "explanation" / "architecture.md"
APPS = ("config", "analytics", "connect_bridge", "channels_app", "customers", "people")
#: The apps whose rooms a contract of pyproject.toml puts in order, from the top.
DRAWN = ("analytics", "connect_bridge", "channels_app")
BEGIN, END = "<!-- made by `make map` -->", "<!-- until here -->"
#: What Django or a shell enters by, and what says nothing about the order of rooms.
LEFT_OUT = {"migrations"}
Arrows = dict[str, set[str]]


@cache
def graph() -> grimp.ImportGraph:
    """Return who imports whom among our modules, imports inside functions and for types alone included."""
    return grimp.build_graph(*APPS, "sandbox", exclude_type_checking_imports=False)


def layers(app: str) -> list[list[str]]:
    """Return the rooms of an app as its contract orders them, from the top."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    rows = next(contract["layers"] for contract in contracts if contract.get("containers") == [app])
    return [re.findall(r"\w+", row) for row in rows]


def rooms(app: str) -> Arrows:
    """Return which room of an app imports which others of it."""
    arrows: Arrows = {}
    for module in graph().modules:
        if not (room := _room(app, module)):
            continue
        imported = {_room(app, other) for other in graph().find_modules_directly_imported_by(module)}
        arrows.setdefault(room, set()).update(imported - {room, ""})
    return arrows


def _room(app: str, module: str) -> str:
    """Return in which room of the app a module is, "" if in none."""
    parts = module.split(".")
    return parts[1] if parts[0] == app and len(parts) > 1 and parts[1] not in LEFT_OUT else ""


def apps() -> Arrows:
    """Return which app imports which."""
    arrows: Arrows = {app: set() for app in APPS}
    for module in graph().modules:
        if (app := module.partition(".")[0]) in arrows:
            imported = {other.partition(".")[0] for other in graph().find_modules_directly_imported_by(module)}
            arrows[app] |= imported & arrows.keys() - {app}
    return arrows


def reduced(arrows: Mapping[str, set[str]]) -> Arrows:
    """Leave out each arrow that follows from others."""
    below: dict[str, set[str]] = defaultdict(set)

    def reach(name: str) -> set[str]:
        if name not in below:
            below[name] = set()
            below[name] = set().union(*({other} | reach(other) for other in arrows[name]))
        return below[name]

    return {
        name: {one for one in others if not any(one in reach(other) for other in others - {one})}
        for name, others in arrows.items()
    }


def picture(rows: list[list[str]], arrows: Arrows) -> Iterator[str]:
    """Yield the lines of a Mermaid picture, the rows from top to bottom."""
    yield "```mermaid"
    yield "flowchart TD"
    for row in rows:
        yield from (f"  {name}" for name in row if name in arrows)
    for row in rows:
        for name in row:
            if below := sorted(reduced(arrows).get(name, ())):
                yield f"  {name} --> {' & '.join(below)}"
    yield "```"


def purpose(app: str, room: str) -> str:
    """Return the first sentence of a room's own description."""
    place = ROOT / app / room
    source = (place / "__init__.py" if place.is_dir() else place.with_suffix(".py")).read_text()
    text = " ".join((ast.get_docstring(ast.parse(source)) or "").split())
    return re.split(r"(?<=\.)\s", text)[0] or "What Django reads when it starts."


def chapter(app: str) -> Iterator[str]:
    """Yield the lines about one app: its picture, and its rooms with what each is for, from the top."""
    yield from (f"### {app}", "", *picture(layers(app), rooms(app)), "", "| Room | What for |", "|---|---|")
    for row in layers(app):
        yield from (f"| `{room}` | {purpose(app, room)} |" for room in row if room in rooms(app))
    yield ""


def made() -> str:
    """Return what stands between the two marks of the page."""
    lines = [*picture([[app] for app in APPS], apps()), ""]
    for app in DRAWN:
        lines += chapter(app)
    return "\n".join([BEGIN, "", *lines, END])


def written(page: str) -> str:
    """Return the page with the picture as it is now."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return head + made() + tail


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
    print(f"{PAGE.relative_to(ROOT)} shows the rooms as they are.")
