"""Something to read out of content that a provider documents badly or not at all: its own words, in order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from channels_app.errors import Unusable
from channels_app.payloads import read_object

#: Where a provider's words stand, and addresses to go and look.
_TELLING = ("title", "name", "subtitle", "text", "description", "body", "caption", "label", "url", "item_url", "link")
#: Words of one content, and answers of one form, that are read.
MOST = 50
#: Values that only programs understand.
_NOT_FOR_PEOPLE = frozenset(("flow_token", "flow_id", "version", "token", "wa_flow_response_params"))


def words_in(raw: Any) -> list[str]:
    """Return what somebody can read in the raw JSON, each once: titles, texts, links, whatever they lie in."""
    return list(dict.fromkeys(_words(raw)))[:MOST]


def _words(raw: Any) -> Iterator[str]:
    if isinstance(raw, list):
        for one in raw:
            yield from _words(one)
    elif isinstance(raw, dict):
        yield from (raw[name].strip() for name in _TELLING if isinstance(raw.get(name), str) and raw[name].strip())
        for value in raw.values():
            if isinstance(value, (dict, list)):
                yield from _words(value)


def answers_in(text: str) -> tuple[tuple[str, str], ...]:
    """Return the (question, answer) pairs of a form that came as JSON; any other text is one answer without a name.

    Pairs of a label and a value count as such: {"label": "Name", "value": "Ann"} is Name: Ann.
    """
    try:
        found: Any = read_object(text.encode())
    except Unusable:
        found = _list(text)
    pairs = list(_answers("", found)) if found is not None else []
    return tuple(pairs[:MOST]) if found is not None else ((("", text),) if text.strip() else ())


def _list(text: str) -> Any:
    """Return the JSON array, None if it is none or too deep."""
    try:
        found = read_object(f'{{"": {text}}}'.encode())[""]
    except (Unusable, KeyError):
        return None
    return found if isinstance(found, list) else None


def _answers(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        asked = next(
            (value[key] for key in ("label", "question", "title", "name") if isinstance(value.get(key), str)), ""
        )
        given = next((key for key in ("value", "answer", "response") if key in value), "")
        if asked and given:
            yield from _answers(asked, value[given])
            return
        for key, inner in value.items():
            if key not in _NOT_FOR_PEOPLE:
                yield from _answers(key, inner)
    elif isinstance(value, list) and all(not isinstance(one, (dict, list)) for one in value):
        yield from _answers(name, ", ".join(_shown(one) for one in value))
    elif isinstance(value, list):
        for one in value:
            yield from _answers(name, one)
    elif isinstance(value, str) and value.startswith(("{", "[")):
        inner = answers_in(value)
        yield from ((question or name, answer) for question, answer in inner)
    elif _shown(value).strip():
        yield name, _shown(value)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
