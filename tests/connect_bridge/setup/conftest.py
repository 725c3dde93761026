from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client

from sandbox.world.settings import Settings
from tests.connect_bridge.setup.kit import GOOD
from tests.provider_accounts_kit import redirects
from tests.role_kit import client_of
from tests.sandbox.kit import RunningWorld, running


@pytest.fixture
def world(settings) -> Iterator[RunningWorld]:
    with running(Settings(quotas=False)) as world:
        settings.HTTP_REDIRECTS = redirects(world.url)
        for kind, credentials in GOOD.items():
            world.call("POST", "/phones/accounts", {"kind": kind, "credentials": credentials})
        yield world


@pytest.fixture
def supervisor() -> Client:
    return client_of("Supervisor", "ana")
