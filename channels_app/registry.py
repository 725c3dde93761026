"""Every channel there is, found by listing the providers folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    by_kind: dict[str, type[Channel[Any]]] = {}
    for module in iter_modules(providers.__path__):
        channel: type[Channel[Any]] = import_module(f"{providers.__name__}.{module.name}").channel
        if channel.kind != module.name:
            raise ValueError(f"providers/{module.name}.py declares kind {channel.kind!r}; name the file after the kind")
        by_kind[channel.kind] = channel
    return MappingProxyType(by_kind)


def label_of(kind: str) -> str:
    """Return how people call a channel; its kind if this release has none of that name."""
    channel = channels().get(kind)
    return channel.label if channel else kind


def glyph_of(kind: str) -> str:
    """Return the SVG shapes that stand for a channel on pages; a plain one if this release has none of that name."""
    return channels().get(kind, Channel).glyph


def redirects(base_url_of: Callable[[str, str], str]) -> dict[str, str]:
    """Return where calls to providers really go, by the address that SDKs believe in; only those that go elsewhere.

    `base_url_of` is given a setting's name and its default and returns its value.
    """
    real_addresses: dict[str, str] = {}
    for api in {channel.api.setting: channel.api for channel in channels().values()}.values():
        real = base_url_of(api.setting, api.addresses[0])
        if real != api.addresses[0]:
            real_addresses |= dict.fromkeys(api.addresses, real)
    return real_addresses
