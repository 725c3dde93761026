"""Something to read out of content that a provider documents badly or not at all: its own words, in order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from channels_app.errors import Unusable
from channels_app.toolkit.json_body import read_object

#: Where a provider's words stand, and addresses to go and look.
_TELLING = ("title", "name", "subtitle", "text", "description", "body", "caption", "label", "url", "item_url", "link")
#: Words of one content, and answers of one form, that are read.
MOST = 50
#: Values that only programs understand.
_NOT_FOR_PEOPLE = frozenset(
    ("flow_token", "flow_id", "version", "token", "wa_flow_response_params", "screen_id", "form_id", "lead_id",
     "leadgen_id", "page_id", "ad_id", "adgroup_id", "created_time")
)  # fmt: skip

#: What a question and its answer are called where they come as a pair.
_QUESTIONS, _GIVEN = ("label", "question", "title", "name", "key"), ("value", "values", "answer", "response")


def words_in(raw: Any) -> list[str]:
    """Return what somebody can read in the raw JSON, each once: titles, texts, links, whatever they lie in."""
    return list(dict.fromkeys(_words(raw)))[:MOST]


def _words(raw: Any) -> Iterator[str]:
    if isinstance(raw, list):
        for item in raw:
            yield from _words(item)
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
        value: Any = read_object(text.encode())
    except Unusable:
        value = _list(text)
    pairs = list(_answers("", value)) if value is not None else []
    return tuple(pairs[:MOST]) if value is not None else ((("", text),) if text.strip() else ())


def answers_of(raw: Any) -> tuple[tuple[str, str], ...]:
    """Return the (question, answer) pairs of a form that came as an object, as `answers_in` reads them."""
    return tuple(_answers("", raw))[:MOST]


def _list(text: str) -> Any:
    """Return the JSON array, None if it is none or too deep."""
    try:
        value = read_object(f'{{"": {text}}}'.encode())[""]
    except (Unusable, KeyError):
        return None
    return value if isinstance(value, list) else None


def _answers(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        yield from _answers_by_name(value)
    elif isinstance(value, list):
        single = not any(isinstance(item, (dict, list)) for item in value)
        for item in [", ".join(map(_shown, value))] if single else value:
            yield from _answers(name, item)
    elif isinstance(value, str) and value.startswith(("{", "[")):
        yield from ((question or name, answer) for question, answer in answers_in(value))
    elif _shown(value).strip():
        yield name, _shown(value)


def _answers_by_name(fields: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if (inner := fields.get("response_json") or fields.get(str(fields.get("type")))) and isinstance(inner, (dict, str)):
        yield from _answers("", inner)
        return
    question = next((fields[key] for key in _QUESTIONS if isinstance(fields.get(key), str)), "")
    answer_key = next((key for key in _GIVEN if key in fields), "")
    if question and answer_key:
        yield from _answers(question, fields[answer_key])
        return
    for key, inner in fields.items():
        if key not in _NOT_FOR_PEOPLE:
            yield from _answers(key, inner)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
