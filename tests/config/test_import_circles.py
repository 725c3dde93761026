"""No file imports itself, by whatever way round: the order in which files are read is never a riddle."""

from __future__ import annotations

from collections.abc import Mapping

from tests import rooms


def tied(arrows: Mapping[str, set[str]]) -> set[str]:
    """Return what is left when everything that imports nothing, or that nothing imports, is taken away again and again.

    These are the files of circles, and those between two circles.
    """
    rest = dict(arrows)
    while True:
        imported = {other for others in rest.values() for other in others if other in rest}
        loose = {name for name, others in rest.items() if name not in imported or not others & rest.keys()}
        if not loose:
            return set(rest)
        rest = {name: others for name, others in rest.items() if name not in loose}


def test_no_file_imports_itself_in_a_circle() -> None:
    graph = rooms.graph()

    assert len(graph.modules) > 400
    assert tied({module: graph.find_modules_directly_imported_by(module) for module in graph.modules}) == set()


def test_no_room_imports_itself_in_a_circle() -> None:
    assert {app: tied(rooms.rooms(app)) for app in rooms.APPS} == {app: set() for app in rooms.APPS}


def test_a_circle_is_seen() -> None:
    assert tied({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set(), "e": {"a"}}) == {"a", "b", "c"}
