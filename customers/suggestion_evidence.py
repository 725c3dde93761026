"""What speaks for and against two customers being the same person, and how much."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

#: A shorter handle is often somebody else's on the next messenger.
TELLING_HANDLE = 6


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """One identity, as evidence sees it. `hints` are "type value"."""

    customer: uuid.UUID
    home: uuid.UUID
    kind: str
    issuer: str
    name: str
    name_key: str
    handle: str
    language: str
    phones: list[str]
    hints: list[str]


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that speaks for or against. `weight`, 0 to 1: how much of the doubt it takes away, or adds."""

    weight: float
    text: str


def points_for(ours: Sequence[Facts], shared: Sequence[tuple[str, str, int]]) -> Iterator[Point]:
    our_numbers = {number for each in ours for number in each.phones}
    for what, value, holders in shared:
        rarity = 1 / math.sqrt(max(1, holders - 1))
        weight, text = _WEIGHTS[f"{what} ours" if value in our_numbers else what]
        if what == "handle" and len(value) < TELLING_HANDLE:
            weight = 0.2
        yield Point(weight * rarity, text.format(value=value, holders=holders))


#: What is shared, with "ours" if it is a number that this customer writes from → its weight, and how it is said.
_WEIGHTS = {
    "name": (0.35, "the same full name, which {holders} identities have"),
    "handle": (0.5, "the same handle, @{value}"),
    "holds": (0.6, "this customer typed the number that the other one writes from"),
    "holds ours": (0.6, "the same verified number; whoever held it first has not written for long"),
    "told phone": (0.5, "both typed the same phone number"),
    "told phone ours": (0.6, "the other one typed the number that this customer writes from"),
    "told email": (0.5, "both typed the same e-mail address"),
    "told parent_bsuid": (0.9, "WhatsApp knows both by one id above several businesses"),
}


def points_against(ours: Sequence[Facts], theirs: Sequence[Facts]) -> Iterator[Point]:
    if {(each.kind, each.issuer) for each in ours} & {(each.kind, each.issuer) for each in theirs}:
        yield Point(0.3, "two different accounts on one messenger")
    if _differ([set(each.phones) for each in ours], [set(each.phones) for each in theirs]):
        yield Point(0.3, "two different verified numbers")
    if _differ([{each.name_key} - {""} for each in ours], [{each.name_key} - {""} for each in theirs]):
        yield Point(0.3, "different names")
    if _differ([{each.language} - {""} for each in ours], [{each.language} - {""} for each in theirs]):
        yield Point(0.2, "different languages")


def _differ(ours: Iterable[set[str]], theirs: Iterable[set[str]]) -> bool:
    """Return whether both sides have values, and none in common."""
    left, right = set().union(*ours), set().union(*theirs)
    return bool(left and right) and left.isdisjoint(right)
