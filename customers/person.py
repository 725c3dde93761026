"""A sender as a messenger names them, before we know who it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from customers.forms import is_alias
from customers.names import name_key, one_line

#: An alias of this type is a number that the messenger itself has verified, wherever it comes from.
PHONE = "phone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A sender as a messenger names them.

    `stable_aliases` are (type, value) ids of one person; `hints` are ids that several people may share. An id
    that is not in its documented form (forms.py) is left out: people who share it are not one person.
    """

    kind: str
    issuer: str
    external_id: str
    stable_aliases: Sequence[tuple[str, str]] = ()
    hints: Sequence[tuple[str, str]] = ()
    display_name: str = ""
    handle: str = ""
    picture_url: str = ""
    locale: str = ""

    def __post_init__(self) -> None:
        for name in ("stable_aliases", "hints"):
            object.__setattr__(self, name, [pair for pair in getattr(self, name) if is_alias(*pair)])


def params_of(person: Person) -> dict[str, Any]:
    """Return the parameters of identity_sql's statements, cut to what the columns take."""
    name = one_line(person.display_name)[:256]
    return {
        "kind": person.kind,
        "issuer": person.issuer,
        "external_id": person.external_id[:256],
        "display_name": name,
        "name_key": name_key(name),
        "handle": one_line(person.handle)[:128],
        "picture_url": person.picture_url[:2048],
        "locale": person.locale[:35],
        "types": [type_ for type_, _ in person.stable_aliases],
        "values": [value for _, value in person.stable_aliases],
        "phones": [value for type_, value in person.stable_aliases if type_ == PHONE],
        "source": "webhook",
        "seen": True,
    }
