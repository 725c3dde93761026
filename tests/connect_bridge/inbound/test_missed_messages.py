"""Messages whose webhooks never came, fetched from the messengers' APIs as the simulated world plays them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from channels_app.models import ChannelAccount, InboundCheck, InboundEntry, WebhookDelivery
from channels_app.recovery import missed_messages
from sandbox.world.faults import Fault
from sandbox.world.settings import Settings
from tests.channels_app.webhooks.kit import deliver, twilio, whatsapp_fields, x_post
from tests.factories import ChannelAccountFactory
from tests.sandbox.kit import RunningWorld, running
from tests.sandbox.messengers_kit import ADDRESSES, CREDENTIALS, CUSTOMERS

KEYS = {
    "twitter": ("consumer_key", "consumer_secret", "access_token", "access_token_secret", "user_id"),
    "whatsapp": ("account_sid", "auth_token", "number"),
    "messenger": ("app_secret", "page_id", "page_access_token", "verify_token"),
}
HOSTS = {
    "twitter": ("https://api.twitter.com", "x"),
    "whatsapp": ("https://api.twilio.com", "twilio"),
    "messenger": ("https://graph.facebook.com", "graph"),
}
LISTING = ["twitter", "whatsapp"]


@pytest.fixture
def world(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningWorld]:
    """Serve a world, and do not wait for webhooks that will not come."""
    monkeypatch.setattr(missed_messages, "SETTLED", timedelta(seconds=-5))
    with running(Settings(quotas=False)) as started:
        yield started


def account_on(world: RunningWorld, kind: str, settings: Any) -> ChannelAccount:
    """Set up an account an hour ago, whose webhooks go nowhere."""
    host, path = HOSTS[kind]
    settings.HTTP_REDIRECTS = {host: f"{world.url}/{path}"}
    world.call("POST", "/phones/accounts", {"kind": kind, "webhook_url": "", "credentials": CREDENTIALS[kind]})
    credentials = {key: CREDENTIALS[kind][key] for key in KEYS[kind]}
    account: ChannelAccount = ChannelAccountFactory(kind=kind, address=ADDRESSES[kind], credentials=credentials)
    ChannelAccount.objects.filter(pk=account.pk).update(created_at=timezone.now() - timedelta(hours=1))
    return account


def write(world: RunningWorld, kind: str, text: str) -> None:
    wrote = {"from": CUSTOMERS[kind], "content": {"type": "text", "text": text}}
    world.call("POST", f"/phones/{kind}/{ADDRESSES[kind]}/messages", wrote)


def texts() -> list[str]:
    return [event["text"] for event in InboundEntry.objects.order_by("id").values_list("event", flat=True)]


@pytest.mark.parametrize("kind", LISTING)
def test_what_no_webhook_brought_is_taken_in_once(world: RunningWorld, settings: Any, kind: str) -> None:
    account = account_on(world, kind, settings)
    for text in ("one", "two", "three"):
        write(world, kind, text)
    first, second = missed_messages.ask_provider(account.pk), missed_messages.ask_provider(account.pk, now=True)
    assert (first and first.messages, first and first.trouble) == (3, "")
    assert (second and second.messages) == 0
    assert sorted(texts()) == ["one", "three", "two"]
    assert WebhookDelivery.objects.filter(polled=True, state="accepted").count() == 3


@pytest.mark.parametrize("kind", LISTING)
def test_its_webhook_that_comes_after_all_is_a_duplicate(world: RunningWorld, settings: Any, kind: str) -> None:
    account = account_on(world, kind, settings)
    write(world, kind, "late")
    missed_messages.ask_provider(account.pk)
    message = InboundEntry.objects.get().event["message_id"]
    post = (
        twilio(account, whatsapp_fields(account, MessageSid=message, Body="late"))
        if kind == "whatsapp"
        else x_post(account, "late", event=message)
    )
    (answer,) = deliver("django", post)
    assert answer.word == "duplicate"
    assert texts() == ["late"]


@pytest.mark.parametrize("kind", LISTING)
def test_a_provider_that_is_down_is_asked_again_for_all_of_it(world: RunningWorld, settings: Any, kind: str) -> None:
    account = account_on(world, kind, settings)
    write(world, kind, "during the outage")
    world.world.faults.on.append(Fault(name="error5xx", times=1))
    failed, mended = missed_messages.ask_provider(account.pk), missed_messages.ask_provider(account.pk, now=True)
    assert (failed and failed.trouble.partition(":")[0]) == "unavailable"
    assert (mended and mended.messages, mended and mended.trouble) == (1, "")


def test_a_page_that_meta_gave_up_is_told(world: RunningWorld, settings: Any) -> None:
    account = account_on(world, "messenger", settings)
    result = missed_messages.ask_provider(account.pk)
    assert "not subscribed" in InboundCheck.objects.get().trouble
    assert result is not None
