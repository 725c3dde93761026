from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from channels_app.models import ChannelAccount, InboundEntry, WebhookDelivery
from channels_app.recovery import reprocess
from channels_app.recovery.reprocess import Reading
from tests.channels_app.webhooks.kit import said_on_page
from tests.factories import ChannelAccountFactory, InboundEntryFactory, WebhookDeliveryFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def account() -> ChannelAccount:
    return ChannelAccountFactory(kind="messenger", address="2001")


def kept(account: ChannelAccount, *messages: dict[str, Any], state: str = "quarantined", **more: Any) -> Any:
    """Keep a delivery, as the intake did when it could not read it."""
    body = json.dumps(said_on_page(account, *(messages or ({},)))).encode()
    params = {"account": account, "body": body, "state": state, "reason": "the parser failed", **more}
    return WebhookDeliveryFactory(**params)


def again(*states: str, act: bool = True, **more: Any) -> list[Reading]:
    chosen = reprocess.choose(states or ["quarantined"], **more)
    return list(reprocess.read_again(chosen, act=act))


def stored() -> list[tuple[str, str]]:
    return list(InboundEntry.objects.order_by("id").values_list("key", "state"))


def test_what_today_can_be_read_goes_to_the_bridge(account: ChannelAccount) -> None:
    delivery = kept(account, {"text": "one"}, {"text": "two"})
    (reading,) = again()
    delivery.refresh_from_db()
    assert (reading.fresh, reading.messages, reading.problem) == (2, 2, "")
    assert stored() == [("m:m_0", "pending"), ("m:m_1", "pending")]
    assert (delivery.state, delivery.reason) == ("accepted", "")
    assert InboundEntry.objects.first().delivery == delivery


def test_a_dry_run_counts_the_same_and_stores_nothing(account: ChannelAccount) -> None:
    delivery = kept(account, {}, {})
    dry = again(act=False)
    delivery.refresh_from_db()
    assert (stored(), delivery.state) == ([], "quarantined")
    assert dry == again(act=True)


def test_read_twice_nothing_comes_twice(account: ChannelAccount) -> None:
    kept(account, state="accepted")
    again("accepted")
    (reading,) = again("accepted")
    assert (reading.fresh, reading.known, reading.helps) == (0, 1, False)
    assert len(stored()) == 1


@pytest.mark.parametrize("act", [True, False])
def test_of_two_deliveries_of_one_message_the_second_brings_nothing(account: ChannelAccount, act: bool) -> None:  # noqa: FBT001
    kept(account, received_at=timezone.now() - timedelta(seconds=5))
    second = kept(account)
    assert [reading.fresh for reading in again(act=act)] == [1, 0]
    second.refresh_from_db()
    assert second.state == ("duplicate" if act else "quarantined")


def test_what_is_here_is_left_alone(account: ChannelAccount) -> None:
    entry = InboundEntryFactory(delivery__account=account, key="m:m_0", state="done", outcome="message stored")
    kept(account)
    again()
    entry.refresh_from_db()
    assert (entry.state, entry.outcome) == ("done", "message stored")


def test_an_event_that_broke_the_router_gets_another_life(account: ChannelAccount) -> None:
    delivery = kept(account, {"text": "as it is read now"}, state="accepted")
    entry = InboundEntryFactory(
        delivery=delivery, key="m:m_0", state="quarantined", attempts=5, outcome="failed: KeyError", event={"old": 1}
    )
    (reading,) = again("quarantined")
    entry.refresh_from_db()
    assert (reading.revived, reading.fresh, reading.messages) == (1, 0, 1)
    assert (entry.state, entry.attempts, entry.outcome) == ("pending", 0, "")
    assert entry.event["text"] == "as it is read now"
    assert again("quarantined") == []


def test_an_event_that_comes_to_an_end_meanwhile_is_left_alone(
    account: ChannelAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = InboundEntryFactory(delivery=kept(account, state="accepted"), key="m:m_0", state="quarantined")
    sort = reprocess._Reader._sort

    def slowly(reader: Any, taken: Any) -> Any:
        result = sort(reader, taken)
        InboundEntry.objects.update(state="done")
        return result

    monkeypatch.setattr(reprocess._Reader, "_sort", slowly)
    again("quarantined")
    entry.refresh_from_db()
    assert entry.state == "done"


def test_what_still_cannot_be_read_says_why_and_stays(account: ChannelAccount) -> None:
    delivery = WebhookDeliveryFactory(account=account, body=b"{not json", state="quarantined", reason="old words")
    (reading,) = again()
    delivery.refresh_from_db()
    assert (reading.problem, delivery.state, delivery.reason) == (
        "the body is not JSON",
        "quarantined",
        reading.problem,
    )


def test_what_names_another_account_stays_set_aside(account: ChannelAccount) -> None:
    body = json.dumps(said_on_page(ChannelAccountFactory(kind="messenger", address="999"), {})).encode()
    WebhookDeliveryFactory(account=account, body=body, state="quarantined")
    again()
    (reading,) = again()
    assert (reading.helps, [state for _, state in stored()]) == (False, ["quarantined"])


def test_an_ignored_delivery_is_read_again_when_asked_for(account: ChannelAccount) -> None:
    kept(account, state="ignored")
    assert again("quarantined") == []
    assert again("ignored")[0].fresh == 1


def test_a_form_is_read_with_its_content_type_and_query() -> None:
    account = ChannelAccountFactory(kind="whatsapp", address="+34600000001")
    sid = "SM" + "0" * 32
    body = f"MessageSid={sid}&AccountSid={account.credentials['account_sid']}&From=whatsapp%3A%2B34600000001"
    body += "&To=whatsapp%3A%2B34611222333&MessageStatus=delivered"
    headers = {"content-type": "application/x-www-form-urlencoded"}
    outbox = "0e4f2a11-0000-4000-8000-000000000000"
    WebhookDeliveryFactory(
        account=account, body=body.encode(), headers=headers, query=f"outbox={outbox}", state="quarantined"
    )
    (reading,) = again()
    assert (reading.fresh, reading.messages, reading.problem) == (1, 0, "")
    assert InboundEntry.objects.get().event["correlation"] == outbox


@pytest.mark.parametrize("account_is", ["disabled", "without its credentials"])
def test_an_account_that_cannot_be_used_is_left_out_with_the_reason(account_is: str) -> None:
    params = {"enabled": False} if account_is == "disabled" else {"credentials": {"page_id": "1"}}
    kept(ChannelAccountFactory(kind="messenger", **params))
    (reading,) = again()
    assert reading.problem
    assert stored() == []


def test_the_choice_is_by_time_account_and_id(account: ChannelAccount) -> None:
    now = timezone.now()
    old, new = kept(account, received_at=now - timedelta(hours=3)), kept(account)
    other = kept(ChannelAccountFactory(kind="messenger"))

    def chosen(**more: Any) -> set[WebhookDelivery]:
        return set(reprocess.choose(["quarantined"], **more))

    assert chosen(since=now - timedelta(hours=1)) == {new, other}
    assert chosen(until=now - timedelta(hours=1)) == {old}
    assert chosen(account=account.pk) == {old, new}
    assert chosen(ids=[other.pk]) == {other}


def test_a_click_reads_deliveries_again_and_is_in_their_history(admin_client: Client, account: ChannelAccount) -> None:
    delivery = kept(account)
    page = admin_client.post(
        reverse("admin:channels_app_webhookdelivery_changelist"),
        {"action": "read_again", "_selected_action": [str(delivery.pk)]},
        follow=True,
    )
    assert "1 messages are on their way" in page.content.decode()
    assert len(stored()) == 1
    assert LogEntry.objects.get(object_id=str(delivery.pk)).change_message == "Read again."
