"""Compiles the request shapes of AWS's published service models into checks.

botocore's own validator looks only at what a client gets wrong most (missing members, types, minima). A service
also refuses what is too long, not in the enumeration or against the pattern, so the checks are compiled here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

Kind = Literal["missing", "unknown", "type", "value"]
Check = Callable[[Any, str, "list[Problem]"], None]

_SCALARS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "character": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float, str),
    "blob": (str,),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a request: where, of what kind, and a sentence about it."""

    where: str
    kind: Kind
    text: str


class ShapeCompiler:
    """Turns shapes into checks, each shape once; recursive shapes are resolved when they are first used."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}

    def compile(self, shape: Shape) -> Check:
        """Return the check of `shape`."""
        if shape.name in self._checks:
            return self._checks[shape.name]

        def when_built(value: Any, where: str, problems: list[Problem]) -> None:
            self._checks[shape.name](value, where, problems)

        self._checks[shape.name] = when_built
        self._checks[shape.name] = self._build(shape)
        return self._checks[shape.name]

    def _build(self, shape: Shape) -> Check:
        if isinstance(shape, StructureShape):
            return self._structure(shape)
        if isinstance(shape, ListShape):
            return self._list(shape)
        if isinstance(shape, MapShape):
            return self._map(shape)
        return _scalar(shape)

    def _structure(self, shape: StructureShape) -> Check:
        members = {name: self.compile(member) for name, member in shape.members.items()}
        required = tuple(shape.required_members)

        def check(value: Any, where: str, problems: list[Problem]) -> None:
            if not isinstance(value, dict):
                problems.append(_wrong_type(where, "structure"))
                return
            problems.extend(_missing(_join(where, name)) for name in required if value.get(name) is None)
            for name, member in value.items():
                if name not in members:
                    problems.append(Problem(_join(where, name), "unknown", f"Unknown member '{_join(where, name)}'"))
                elif member is not None:
                    members[name](member, _join(where, name), problems)

        return check

    def _list(self, shape: ListShape) -> Check:
        element = self.compile(shape.member)
        within = _size_check(shape, "Member")

        def check(value: Any, where: str, problems: list[Problem]) -> None:
            if not isinstance(value, list):
                problems.append(_wrong_type(where, "list"))
                return
            within(len(value), where, problems)
            for number, item in enumerate(value, 1):
                element(item, f"{where}.{number}.member", problems)

        return check

    def _map(self, shape: MapShape) -> Check:
        key_check, value_check = self.compile(shape.key), self.compile(shape.value)
        within = _size_check(shape, "Map")

        def check(value: Any, where: str, problems: list[Problem]) -> None:
            if not isinstance(value, dict):
                problems.append(_wrong_type(where, "map"))
                return
            within(len(value), where, problems)
            for key, item in value.items():
                key_check(key, f"{where}.key", problems)
                value_check(item, f"{where}.{key}", problems)

        return check


def _scalar(shape: Shape) -> Check:
    types = _SCALARS[shape.type_name]
    only_bool = bool in types
    inner = _string_check(shape) if isinstance(shape, StringShape) else _range_check(shape)

    def check(value: Any, where: str, problems: list[Problem]) -> None:
        if not isinstance(value, types) or (isinstance(value, bool) and not only_bool):
            problems.append(_wrong_type(where, shape.type_name))
            return
        inner(value, where, problems)

    return check


def _string_check(shape: StringShape) -> Check:
    within = _size_check(shape, "Member")
    allowed = frozenset(shape.enum)
    pattern = _compiled(shape.metadata.get("pattern"))

    def check(value: Any, where: str, problems: list[Problem]) -> None:
        within(len(value), where, problems)
        if allowed and value not in allowed:
            choices = ", ".join(shape.enum)
            problems.append(_unsatisfied(where, f"Member must satisfy enum value set: [{choices}]"))
        if pattern is not None and not pattern.fullmatch(value):
            problems.append(_unsatisfied(where, f"Member must satisfy regular expression pattern: {pattern.pattern}"))

    return check


def _range_check(shape: Shape) -> Check:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")

    def check(value: Any, where: str, problems: list[Problem]) -> None:
        if low is not None and value < low:
            problems.append(_unsatisfied(where, f"Member must have value greater than or equal to {low}"))
        if high is not None and value > high:
            problems.append(_unsatisfied(where, f"Member must have value less than or equal to {high}"))

    return check


def _size_check(shape: Shape, noun: str) -> Check:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")

    def check(value: Any, where: str, problems: list[Problem]) -> None:
        if low is not None and value < low:
            problems.append(_unsatisfied(where, f"{noun} must have length greater than or equal to {low}"))
        if high is not None and value > high:
            problems.append(_unsatisfied(where, f"{noun} must have length less than or equal to {high}"))

    return check


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    """Compile a model's pattern; those that only Java understands are not checked."""
    if pattern is None:
        return None
    try:
        return re.compile(pattern)
    except re.error:
        return None


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _missing(where: str) -> Problem:
    return Problem(where, "missing", f"Value at '{where}' failed to satisfy constraint: Member must not be null")


def _unsatisfied(where: str, constraint: str) -> Problem:
    return Problem(where, "value", f"Value at '{where}' failed to satisfy constraint: {constraint}")


def _wrong_type(where: str, expected: str) -> Problem:
    return Problem(where, "type", f"Value at '{where or 'body'}' must be a {expected}")
