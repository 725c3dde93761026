"""Fixtures for tests of the bridge's rooms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from connect_bridge.bridge.process import Bridge
from sandbox.world.settings import Settings
from tests.connect_bridge.kit import Phone, bridging
from tests.connect_bridge.outbox.kit import messenger, settled_signals
from tests.factories import ChannelAccountFactory
from tests.sandbox.kit import RunningWorld, running

__all__ = ["messenger", "settled_signals"]


@pytest.fixture
def aws() -> Iterator[RunningWorld]:
    with running(Settings(quotas=False, closing_grace=0.2)) as world:
        yield world


@pytest.fixture
def pointed_at(aws: RunningWorld, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    for service in ("CONNECT", "CONNECTPARTICIPANT"):
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", aws.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    settings.CONNECT_INSTANCE_ID, settings.CONNECT_CONTACT_FLOW_ID = "instance", "flow"


@pytest.fixture
def bridge(pointed_at: None) -> Iterator[Bridge]:
    with bridging() as running_bridge:
        yield running_bridge


@pytest.fixture
def phone() -> Phone:
    return Phone(ChannelAccountFactory(kind="whatsapp"))
