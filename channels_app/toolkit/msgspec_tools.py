"""Raw data into typed structs, from any thread.

msgspec works out a type when it is first used, and not safely: a second thread that uses the type meanwhile reads what
is not there yet, and the process dies (version 0.22; tests/channels_app/test_structs.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

_worked_out: set[Any] = set()
_working_out = threading.Lock()


def convert(raw: Any, kind: type[T], dec_hook: Callable[[type, Any], Any] | None = None) -> T:
    """Return the raw data as that type; raise msgspec.ValidationError, which never quotes the content."""
    if kind not in _worked_out:
        with _working_out:
            msgspec.json.Decoder(kind)
            _worked_out.add(kind)
    return msgspec.convert(raw, kind, dec_hook=dec_hook)
