"""What a channel that can be set up by its provider's API has in common: it hands two questions to its `setup`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from channels_app.types import Checked


class ProviderSetup(Protocol):
    """One account's side of a provider."""

    def points(self) -> Mapping[str, Callable[[], Checked]]: ...

    def register(self) -> str: ...


class SetUpByApi:
    """Makes a channel ReadsBackConfiguration and RegistersWebhook (channel.py)."""

    @property
    def setup(self) -> ProviderSetup:
        raise NotImplementedError

    def points(self) -> Mapping[str, Callable[[], Checked]]:
        return self.setup.points()

    def register_webhook(self) -> str:
        return self.setup.register()
