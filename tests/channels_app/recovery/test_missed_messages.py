from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.core.management.base import CommandError
from kombu.transport import memory
from pytest_django.fixtures import Settings

from channels_app import account as accounts
from channels_app import errors, tasks
from channels_app.channel import Channel
from channels_app.models import ChannelAccount, ChannelLog, InboundCheck, InboundEntry, WebhookDelivery
from channels_app.recovery import missed_messages, schedule
from channels_app.toolkit.payloads import key_of
from channels_app.toolkit.text import TextLimit
from channels_app.types import (
    Listed,
    ListedInbound,
    MessageReceived,
    Secret,
    Sender,
    Struct,
    VerifiedWebhook,
    WebhookRequest,
)
from tests.factories import ChannelAccountFactory, InboundEntryFactory

pytestmark = pytest.mark.django_db


class FakeConfig(Struct, frozen=True, kw_only=True):
    token: Secret


class Provider:
    """What the provider has, and what it was asked."""

    def __init__(self) -> None:
        self.has: list[Listed] = []
        self.complete = True
        self.asked: list[datetime] = []
        self.fetched: list[str] = []
        self.fails: Exception | None = None
        self.broken: dict[str, Exception] = {}
        self.meanwhile: Callable[[str], Any] = lambda _key: None
        self.lacking = ""

    def got(self, name: str, minutes: float = 5) -> str:
        """Let the provider list a message, so many minutes old."""
        at = datetime.now(UTC) - timedelta(minutes=minutes)
        self.has.append(Listed(key=key_of("m", name), at=at, raw={"id": name}))
        return key_of("m", name)


class FakeChannel(Channel[FakeConfig]):
    kind = "fake"
    label = "Fake"
    text_limit = TextLimit(most=1000)
    Config = FakeConfig
    provider: Provider

    def parse(self, webhook: VerifiedWebhook) -> list[MessageReceived]:
        name = json.loads(webhook.body)["id"]
        return [MessageReceived(key=key_of("m", name), sender=Sender(external_id="7"), message_id=name, text=name)]

    def list_inbound(self, since: datetime) -> ListedInbound:
        self.provider.asked.append(since)
        if self.provider.fails:
            raise self.provider.fails
        result = tuple(one for one in self.provider.has if one.at >= since)
        return ListedInbound(messages=result, complete=self.provider.complete)

    def as_webhook(self, listed: Listed) -> VerifiedWebhook:
        self.provider.fetched.append(listed.key)
        if listed.key in self.provider.broken:
            raise self.provider.broken[listed.key]
        self.provider.meanwhile(listed.key)
        body = json.dumps(listed.raw).encode()
        return VerifiedWebhook(WebhookRequest(method="POST", url=self.webhook_url, headers={}, body=body))

    def unsubscribed(self) -> str:
        return self.provider.lacking

    def subscribe(self) -> None:
        self.provider.lacking = ""


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    result = Provider()
    bound = type("BoundChannel", (FakeChannel,), {"provider": result})
    for module in (schedule, accounts):
        monkeypatch.setattr(module, "channels", lambda: {"fake": bound, "mute": Channel})
    return result


@pytest.fixture
def account(provider: Provider) -> ChannelAccount:
    made = ChannelAccountFactory(kind="fake", credentials={"token": "t"}, address="us")
    return aged(made, hours=48)


def aged(account: ChannelAccount, hours: float) -> ChannelAccount:
    ChannelAccount.objects.filter(pk=account.pk).update(
        created_at=account.created_at - timedelta(hours=hours), updated_at=account.updated_at - timedelta(hours=hours)
    )
    account.refresh_from_db()
    return account


def check_of(account: ChannelAccount) -> InboundCheck:
    return InboundCheck.objects.get(account=account)


def keys() -> list[str]:
    return list(InboundEntry.objects.order_by("id").values_list("key", flat=True))


def test_what_was_not_delivered_is_taken_in_in_order_and_marked(account: ChannelAccount, provider: Provider) -> None:
    late, early = provider.got("late", 3), provider.got("early", 5)
    result = missed_messages.ask_provider(account.pk)
    assert result is not None
    assert result.messages == 2
    assert keys() == [early, late]
    assert set(InboundEntry.objects.values_list("state", flat=True)) == {"pending"}
    assert set(WebhookDelivery.objects.values_list("polled", "state")) == {(True, "accepted")}
    assert check_of(account).found == 2


def test_what_arrived_is_left_alone_and_not_even_fetched(account: ChannelAccount, provider: Provider) -> None:
    here = provider.got("here")
    InboundEntryFactory(delivery__account=account, key=here, state="done")
    result = missed_messages.ask_provider(account.pk)
    assert (result and result.messages, provider.fetched) == (0, [])
    assert WebhookDelivery.objects.filter(polled=True).count() == 0


def test_a_second_look_finds_nothing_again(account: ChannelAccount, provider: Provider) -> None:
    provider.got("once")
    missed_messages.ask_provider(account.pk)
    result = missed_messages.ask_provider(account.pk, now=True)
    assert (result and result.messages, len(keys()), check_of(account).found) == (0, 1, 1)


def test_a_webhook_that_comes_meanwhile_is_not_doubled_and_no_gap(account: ChannelAccount, provider: Provider) -> None:
    key = provider.got("racing")
    provider.meanwhile = lambda key: InboundEntryFactory(delivery__account=account, key=key)
    result = missed_messages.ask_provider(account.pk)
    assert (result and result.messages, keys()) == (0, [key])


def test_what_is_fresh_is_left_to_its_webhook(account: ChannelAccount, provider: Provider) -> None:
    provider.got("fresh", minutes=0.5)
    missed_messages.ask_provider(account.pk)
    assert keys() == []


def test_the_next_look_begins_before_the_end_of_the_last(account: ChannelAccount, provider: Provider) -> None:
    missed_messages.ask_provider(account.pk)
    missed_messages.ask_provider(account.pk, now=True)
    first, second = provider.asked
    assert second - first == pytest.approx(missed_messages.FURTHEST - missed_messages.OVERLAP, abs=timedelta(seconds=5))
    assert datetime.now(UTC) - second == pytest.approx(
        missed_messages.OVERLAP + missed_messages.SETTLED, abs=timedelta(seconds=5)
    )


def test_what_was_written_before_the_account_was_set_up_is_not_fetched(provider: Provider) -> None:
    account = ChannelAccountFactory(kind="fake", credentials={"token": "t"})
    provider.got("old", minutes=30)
    missed_messages.ask_provider(account.pk)
    assert keys() == []


def test_a_look_that_failed_is_repeated_from_where_it_began(account: ChannelAccount, provider: Provider) -> None:
    missed_messages.ask_provider(account.pk)
    reached = check_of(account).complete_until
    provider.fails = errors.Unavailable("Try later.")
    missed_messages.ask_provider(account.pk, now=True)
    check = check_of(account)
    assert (check.complete_until, check.trouble, check.refused) == (reached, "unavailable: Try later.", False)
    provider.fails = None
    missed_messages.ask_provider(account.pk, now=True)
    assert check_of(account).trouble == ""


def test_a_message_that_cannot_be_fetched_keeps_no_other_back(account: ChannelAccount, provider: Provider) -> None:
    bad, good = provider.got("bad", 5), provider.got("good", 3)
    provider.broken[bad] = KeyError("uri")
    missed_messages.ask_provider(account.pk)
    check = check_of(account)
    assert keys() == [good]
    assert check.complete_until is None
    assert "KeyError" in check.trouble


def test_a_bug_in_a_channel_is_noted_and_stays_there(account: ChannelAccount, provider: Provider) -> None:
    provider.fails = ValueError("secret words")
    result = missed_messages.ask_provider(account.pk)
    assert result is not None
    assert result.trouble == "Parley failed while it asked: ValueError"


def test_a_provider_that_wants_to_be_left_alone_is(account: ChannelAccount, provider: Provider) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    provider.fails = errors.Throttled("Slow down.", retry_at=later)
    missed_messages.ask_provider(account.pk)
    assert check_of(account).due_at == later


@pytest.mark.parametrize("failure", [errors.AuthFailed("No."), errors.AccountProblem("Unpaid.")])
def test_refused_credentials_are_tried_seldom_until_they_are_saved_anew(
    account: ChannelAccount, provider: Provider, failure: errors.SendFailed
) -> None:
    provider.fails = failure
    missed_messages.ask_provider(account.pk)
    check = check_of(account)
    assert check.refused
    assert check.due_at - datetime.now(UTC) > timedelta(hours=5)
    assert schedule.due() == []
    account.save()
    assert schedule.due() == [account.pk]


def test_credentials_that_cannot_be_read_are_told(provider: Provider) -> None:
    account = ChannelAccountFactory(kind="fake", credentials={"tokken": "hunter2"})
    result = missed_messages.ask_provider(account.pk)
    assert result is not None
    assert result.trouble.startswith("account: the stored credentials do not fit")
    assert "hunter2" not in result.trouble


def test_turns_come_every_few_minutes_and_not_all_at_once(
    account: ChannelAccount, settings: Settings, provider: Provider
) -> None:
    settings.INBOUND_POLL_SECONDS = 1000.0
    waits = set()
    for _ in range(5):
        missed_messages.ask_provider(account.pk, now=True)
        waits.add(round((check_of(account).due_at - datetime.now(UTC)).total_seconds()))
    assert len(waits) > 1
    assert all(895 <= wait <= 1105 for wait in waits)
    assert schedule.due() == []


def test_who_comes_second_finds_the_turn_taken(account: ChannelAccount, provider: Provider) -> None:
    assert missed_messages.ask_provider(account.pk) is not None
    assert missed_messages.ask_provider(account.pk) is None
    assert len(provider.asked) == 1


@pytest.mark.parametrize("why", ["disabled", "a channel that cannot", "switched off"])
def test_nobody_is_asked_who_should_not_be(provider: Provider, settings: Settings, why: str) -> None:
    account = ChannelAccountFactory(
        kind="mute" if "cannot" in why else "fake", credentials={"token": "t"}, enabled=why != "disabled"
    )
    settings.INBOUND_POLL_SECONDS = 0 if why == "switched off" else 300
    assert schedule.due() == []
    if why != "switched off":
        assert missed_messages.ask_provider(account.pk, now=True) is None


def test_a_sweep_names_each_account_whose_turn_it_is(account: ChannelAccount, provider: Provider) -> None:
    tasks.look_for_missed()
    assert memory.Channel.queues[django_settings.CELERY_TASK_DEFAULT_QUEUE].qsize() == 1
    tasks.ask_provider(str(account.pk))
    tasks.look_for_missed()
    assert memory.Channel.queues[django_settings.CELERY_TASK_DEFAULT_QUEUE].qsize() == 1


def test_beat_knows_the_sweep() -> None:
    assert django_settings.CELERY_BEAT_SCHEDULE["missed"]["task"] == tasks.look_for_missed.name


def test_a_lost_subscription_is_told_and_taken_up_only_when_told_to(
    account: ChannelAccount, provider: Provider
) -> None:
    provider.lacking = "Not subscribed to messages."
    missed_messages.ask_provider(account.pk)
    assert (check_of(account).trouble, provider.lacking) == ("Not subscribed to messages.",) * 2
    missed_messages.ask_provider(account.pk, now=True, subscribe=True)
    assert (check_of(account).trouble, provider.lacking) == ("", "")


def test_only_looks_that_brought_something_are_in_the_channel_log(account: ChannelAccount, provider: Provider) -> None:
    missed_messages.ask_provider(account.pk)
    assert ChannelLog.objects.count() == 0


def test_a_list_that_is_too_long_is_logged(
    account: ChannelAccount, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    provider.complete = False
    missed_messages.ask_provider(account.pk)
    assert "too long to reach back" in caplog.text


def test_the_command_asks_now_and_says_what_it_found(
    account: ChannelAccount, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    provider.got("missed")
    with pytest.raises(SystemExit) as ended:
        call_command("missed", "--json")
    (answer,) = json.loads(capsys.readouterr().out)["accounts"]
    assert (ended.value.code, answer["found"], answer["trouble"]) == (0, 1, "")


def test_the_command_exits_3_if_a_provider_lacks_something(
    account: ChannelAccount, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    provider.lacking = "Not subscribed."
    with pytest.raises(SystemExit) as ended:
        call_command("missed", "--account", str(account.pk))
    assert ended.value.code == 3
    assert "Not subscribed." in capsys.readouterr().out


@pytest.mark.parametrize("value", ["nonsense", "0e4f2a11-0000-4000-8000-000000000000"])
def test_the_command_refuses_an_account_that_is_none(provider: Provider, value: str) -> None:
    with pytest.raises(CommandError):
        call_command("missed", "--account", value)
