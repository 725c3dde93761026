"""The command `replay`: what failed is sent again, after it was shown what would go."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from connect_bridge.event_log.replay_log import parse_time
from connect_bridge.models import Message, OutboxEntry, Replay
from tests.connect_bridge.outbox.kit import replay, replay_text
from tests.factories import (
    ChannelAccountFactory,
    ConversationFactory,
    MessageFactory,
    OutboxEntryFactory,
    WebhookDeliveryFactory,
)

pytestmark = pytest.mark.django_db


def failed(
    *, state: str = "dead", code: str = "throttled", ago: float = 1, silent_for: float = 1, **more: Any
) -> OutboxEntry:
    """Make a send that failed so many hours ago, to a customer who wrote so many hours ago."""
    account = more.pop("account", None) or ChannelAccountFactory()
    last_inbound_at = timezone.now() - timedelta(hours=silent_for)
    message = more.pop("message", None) or MessageFactory(
        conversation=ConversationFactory(account=account, last_inbound_at=last_inbound_at),
        direction="out",
        status="failed" if state == "dead" else "uncertain",
    )
    settled = timezone.now() - timedelta(hours=ago)
    return OutboxEntryFactory(message=message, state=state, error_code=code, settled_at=settled, **more)


def states() -> list[str]:
    return sorted(OutboxEntry.objects.values_list("state", flat=True))


def test_it_only_says_what_it_would_do() -> None:
    failed()
    printed = replay("retry", "--since", "2h")
    assert (printed["dry_run"], printed["messages"], states()) == (True, 1, ["dead"])
    assert Replay.objects.count() == 0


def test_yes_sends_again_and_puts_it_on_record() -> None:
    entry = failed()
    printed = replay("retry", "--since", "2h", "--yes", "--by", "ana")
    entry.refresh_from_db()
    record = Replay.objects.get()
    assert (entry.state, Message.objects.get().status) == ("pending", "stored")
    assert (record.by, record.verb, record.rows) == ("ana", "retry", [str(entry.pk)])
    assert (printed["replay"], record.counts["entries"]) == (str(record.pk), 1)


def test_what_failed_before_is_left() -> None:
    failed(ago=3)
    assert replay("retry", "--since", "2h")["messages"] == 0
    assert replay("retry", "--since", "4h", "--until", "2h")["messages"] == 1


def test_done_twice_it_sends_once() -> None:
    failed()
    replay("retry", "--since", "2h", "--yes")
    assert replay("retry", "--since", "2h", "--yes")["messages"] == 0
    assert Replay.objects.count() == 1


def test_what_may_have_arrived_goes_only_when_told_so() -> None:
    entry = failed(state="uncertain")
    wish = ("retry", "--since", "2h", "--state", "uncertain", "--yes")
    assert replay("retry", "--since", "2h", "--yes")["messages"] == 0
    assert replay(*wish, code=3)["left_out"] == {"uncertain": 1}
    assert states() == ["uncertain"]
    assert replay(*wish, "--may-arrive-twice")["messages"] == 1
    entry.refresh_from_db()
    assert (entry.state, entry.possible_duplicate) == ("pending", True)


def test_the_dead_half_of_a_message_whose_other_half_may_have_arrived_is_left_too() -> None:
    first = failed(state="uncertain")
    failed(message=first.message, part=1)
    assert replay("retry", "--since", "2h", "--yes", code=3)["left_out"] == {"uncertain": 1}
    assert states() == ["dead", "uncertain"]


def test_what_the_messenger_is_still_asked_for_waits_for_its_answer() -> None:
    failed(state="uncertain", look_at=timezone.now())
    printed = replay("retry", "--since", "2h", "--state", "uncertain", "--may-arrive-twice", "--yes", code=3)
    assert (printed["left_out"], states()) == ({"looked_for": 1}, ["uncertain"])


def test_where_the_window_is_closed_nothing_goes_unless_told_so() -> None:
    failed(silent_for=25)
    assert replay("retry", "--since", "2h", code=3)["left_out"] == {"window": 1}
    assert replay("retry", "--since", "2h", "--closed-windows")["messages"] == 1


def test_x_has_no_window() -> None:
    failed(account=ChannelAccountFactory(kind="twitter", address="100"), silent_for=100)
    assert replay("retry", "--since", "2h")["messages"] == 1


def test_who_said_stop_gets_nothing() -> None:
    failed(code="opted_out")
    assert replay("retry", "--since", "2h", "--yes", code=3)["left_out"] == {"opted_out": 1}
    assert states() == ["dead"]


def test_a_disabled_accounts_messages_stay() -> None:
    failed(account=ChannelAccountFactory(enabled=False))
    assert replay("retry", "--since", "2h", code=3)["left_out"] == {"disabled": 1}


def test_one_account_or_one_entry_alone() -> None:
    one, other = failed(), failed()
    account = one.conversation.account_id
    assert replay("retry", "--since", "2h", "--account", str(account))["messages"] == 1
    replay("retry", "--id", str(other.pk), "--yes")
    assert dict(OutboxEntry.objects.values_list("pk", "state")) == {one.pk: "dead", other.pk: "pending"}


def test_all_parts_of_a_message_count_as_one() -> None:
    first = failed()
    failed(message=first.message, part=1, code="earlier_part")
    printed = replay("retry", "--since", "2h", "--yes")
    assert (printed["messages"], printed["entries"], states()) == (1, 2, ["pending", "pending"])


def test_it_asks_the_database_as_often_for_many_as_for_one(django_assert_max_num_queries: Any) -> None:
    account = ChannelAccountFactory()
    for _ in range(12):
        failed(account=account)
    with django_assert_max_num_queries(8):
        assert replay("retry", "--since", "2h")["messages"] == 12


def test_a_person_is_told_how_many_customers_it_reaches_and_what_is_left_out() -> None:
    account = ChannelAccountFactory(name="Acme")
    failed(account=account)
    failed(account=account, code="auth")
    failed(account=account, silent_for=30)
    printed = replay_text("retry", "--since", "2h")
    assert "2 messages would reach customers." in printed
    assert "1 left out: its reply window is closed; --closed-windows" in printed
    assert "Acme (whatsapp)" in printed
    assert "This was a dry run: --yes does it." in printed


def test_nothing_is_meant_without_a_time_or_an_id() -> None:
    with pytest.raises(CommandError, match="--since 2h"):
        call_command("replay", "retry")


@pytest.mark.parametrize("text", ["soon", "2", "2w", "-1h", "2026-13-01", ""])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match=r"is no time|since"):
        call_command("replay", "retry", f"--since={text}")


def test_times_are_read_as_people_write_them() -> None:
    with timezone.override("Asia/Tokyo"):
        assert parse_time("2026-11-23T14:00").isoformat() == "2026-11-23T14:00:00+09:00"
    assert timezone.now() - parse_time("90m") == pytest.approx(timedelta(minutes=90), abs=timedelta(seconds=5))
    assert parse_time("2026-11-23T14:00+02:00").utcoffset() == timedelta(hours=2)


def unread(body: bytes) -> None:
    account = ChannelAccountFactory(kind="messenger", address="2001")
    WebhookDeliveryFactory(account=account, body=body, state="quarantined")


READABLE = json.dumps(
    {
        "object": "page",
        "entry": [
            {
                "id": "2001",
                "messaging": [
                    {"sender": {"id": "8"}, "recipient": {"id": "2001"}, "message": {"mid": "m", "text": "a"}}
                ],
            }
        ],
    }
).encode()


def test_webhooks_are_read_again_and_that_is_on_record() -> None:
    unread(READABLE)
    assert replay("reprocess", "--since", "2h")["messages"] == 1
    assert Replay.objects.count() == 0
    printed = replay("reprocess", "--since", "2h", "--yes")
    assert (printed["fresh"], printed["messages"]) == (1, 1)
    assert (Replay.objects.get().verb, len(Replay.objects.get().rows)) == ("reprocess", 1)
    assert replay("reprocess", "--since", "2h", "--yes")["deliveries"] == 0


def test_webhooks_that_still_cannot_be_read_are_told_with_exit_code_3() -> None:
    unread(b"{")
    assert replay("reprocess", "--since", "2h", code=3)["problems"] == {"the body is not JSON": 1}
    assert "1 cannot be read: the body is not JSON" in replay_text("reprocess", "--since", "2h")


def test_a_replay_is_found_by_what_it_touched(admin_client: Client) -> None:
    entry = failed()
    replay("retry", "--since", "2h", "--yes")
    page = admin_client.get(reverse("admin:connect_bridge_replay_changelist"), {"q": str(entry.pk)}).content.decode()
    assert str(Replay.objects.get().pk) in page
