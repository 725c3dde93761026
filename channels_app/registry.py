"""Every channel there is, found by listing the providers folder."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType
from typing import Any

from channels_app import providers
from channels_app.channel import Channel


@cache
def channels() -> Mapping[str, type[Channel[Any]]]:
    """Return every channel class by its kind; raise ValueError if a file declares another kind than its name."""
    found: dict[str, type[Channel[Any]]] = {}
    for module in iter_modules(providers.__path__):
        channel: type[Channel[Any]] = import_module(f"{providers.__name__}.{module.name}").channel
        if channel.kind != module.name:
            raise ValueError(f"providers/{module.name}.py declares kind {channel.kind!r}; name the file after the kind")
        found[channel.kind] = channel
    return MappingProxyType(found)
