"""The name and the numbers of a contact card (vCard; RFC 6350, and the older forms that phones still write)."""

from __future__ import annotations

import re

#: Bytes of a card that are read, and numbers of one card that are shown. Cards may hold a photograph.
LARGEST, MOST_NUMBERS = 256 * 1024, 5
_FOLDED = re.compile(r"\r?\n[ \t]")
_LINE = re.compile(
    r"^(?:[A-Za-z0-9-]{1,20}\.)?(FN|N|ORG|TEL)(?:;[^:\r\n]{0,200})?:([^\r\n]{1,500})", re.MULTILINE | re.IGNORECASE
)
_ESCAPED = re.compile(r"\\([\\,;nN])")


def is_card(text: str) -> bool:
    return text.lstrip().upper().startswith("BEGIN:VCARD")


def read_card(text: str) -> tuple[str, str]:
    """Return the name and the numbers, each "" if the card has none. A card may be broken anywhere."""
    fields: dict[str, list[str]] = {}
    for name, value in _LINE.findall(_FOLDED.sub("", text[:LARGEST])):
        fields.setdefault(name.upper(), []).append(_plain(value))
    [name, *_] = [
        *fields.get("FN", []),
        *map(_joined, fields.get("N", [])),
        *map(_joined, fields.get("ORG", [])),
        "",
    ]
    numbers = [number.removeprefix("tel:") for number in fields.get("TEL", [])]
    return name, ", ".join(dict.fromkeys(numbers[:MOST_NUMBERS]))


def _plain(value: str) -> str:
    return _ESCAPED.sub(lambda match: " " if match[1] in "nN" else match[1], value).strip()


def _joined(value: str) -> str:
    """Return a structured name, family name first, as people say it."""
    family, _, rest = value.partition(";")
    return " ".join(part for part in (*rest.split(";")[:1], family) if part)
