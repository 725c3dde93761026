"""Read the JSON object of a webhook's body, strictly, and make its texts storable in PostgreSQL."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from channels_app.errors import Unusable

#: No messenger nests deeper than ten levels.
DEEPEST = 64
#: What PostgreSQL's text and jsonb cannot hold: NUL, and halves of surrogate pairs.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_SUSPECT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key comes twice")
    if None in members.values():
        return {key: value for key, value in members.items() if value is not None}
    return members


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number is too large")
    return number


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_float=_float, parse_constant=_no_constant)


def read_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in the body; raise Unusable for anything else than one, in plain UTF-8.

    Also refused: a key that comes twice, NaN and infinities, numbers of thousands of digits, deep nesting. NUL and
    lone surrogates inside strings become U+FFFD.
    """
    try:
        body_object = _decoder.decode(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise Unusable("the body is not UTF-8") from None
    except RecursionError:
        raise Unusable("the body is nested too deep") from None
    except ValueError:
        raise Unusable("the body is not JSON") from None
    if not isinstance(body_object, dict):
        raise Unusable("the body is not a JSON object")
    if _SUSPECT.search(body) or body.count(b"{") + body.count(b"[") > DEEPEST:
        return {storable(key): _storable(value, 1) for key, value in body_object.items()}
    return body_object


def storable(text: str) -> str:
    """Return the text with what PostgreSQL cannot hold replaced by U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text)


def _storable(value: Any, depth: int) -> Any:
    if depth > DEEPEST:
        raise Unusable("the body is nested too deep")
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable(key): _storable(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [_storable(inner, depth + 1) for inner in value]
    return value
