"""Messages whose webhooks never came, fetched from the messengers' APIs as the simulated world plays them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from channels_app.models import InboundCheck, InboundEntry, WebhookDelivery
from channels_app.recovery import missed_messages
from sandbox.world.faults import Fault
from sandbox.world.settings import Settings
from tests.channels_app.webhooks.kit import deliver, twilio, whatsapp_fields, x_post
from tests.provider_accounts_kit import LISTING, account_on, redirects, write
from tests.sandbox.kit import RunningWorld, running


@pytest.fixture
def world(transactional_db: None, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[RunningWorld]:
    """Serve a world, and do not wait for webhooks that will not come."""
    monkeypatch.setattr(missed_messages, "SETTLED", timedelta(seconds=-5))
    with running(Settings(quotas=False)) as started:
        settings.HTTP_REDIRECTS = redirects(started.url)
        yield started


def texts() -> list[str]:
    return [event["text"] for event in InboundEntry.objects.order_by("id").values_list("event", flat=True)]


@pytest.mark.parametrize("kind", LISTING)
def test_what_no_webhook_brought_is_taken_in_once(world: RunningWorld, kind: str) -> None:
    account = account_on(world, kind)
    for text in ("one", "two", "three"):
        write(world, kind, text)
    first, second = missed_messages.ask_provider(account.pk), missed_messages.ask_provider(account.pk, now=True)
    assert (first and first.messages, first and first.trouble) == (3, "")
    assert (second and second.messages) == 0
    assert sorted(texts()) == ["one", "three", "two"]
    assert WebhookDelivery.objects.filter(polled=True, state="accepted").count() == 3


@pytest.mark.parametrize("kind", LISTING)
def test_its_webhook_that_comes_after_all_is_a_duplicate(world: RunningWorld, kind: str) -> None:
    account = account_on(world, kind)
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
def test_a_provider_that_is_down_is_asked_again_for_all_of_it(world: RunningWorld, kind: str) -> None:
    account = account_on(world, kind)
    write(world, kind, "during the outage")
    world.world.faults.on.append(Fault(name="error5xx", times=1))
    failed, mended = missed_messages.ask_provider(account.pk), missed_messages.ask_provider(account.pk, now=True)
    assert (failed and failed.trouble.partition(":")[0]) == "unavailable"
    assert (mended and mended.messages, mended and mended.trouble) == (1, "")


def test_a_page_that_meta_gave_up_is_told(world: RunningWorld) -> None:
    account = account_on(world, "messenger")
    result = missed_messages.ask_provider(account.pk)
    assert "not subscribed" in InboundCheck.objects.get().trouble
    assert result is not None
