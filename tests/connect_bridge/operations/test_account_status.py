from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from channels_app.accounts.explanations import KNOWN, explain
from channels_app.models import AccountHealth, ChannelAccount, InboundCheck
from channels_app.registry import channels
from connect_bridge.operations.account_status import AccountStatus, State, Verdict, account_statuses
from tests.factories import (
    ChannelAccountFactory,
    ConversationFactory,
    MessageFactory,
    OutboxEntryFactory,
    WebhookDeliveryFactory,
)

NOW = timezone.now
pytestmark = pytest.mark.django_db


def ago(**passed: float) -> Any:
    return NOW() - timedelta(**passed)


def status_of(account: ChannelAccount) -> AccountStatus:
    (status,) = account_statuses([ChannelAccount.objects.get(pk=account.pk)])
    return status


def verdicts(status: AccountStatus) -> str:
    return "".join({Verdict.OK: "+", Verdict.BAD: "-", Verdict.UNSEEN: "o"}[stage.verdict] for stage in status.stages)


def busy(**fields: Any) -> ChannelAccount:
    """An account through which a message has gone both ways just now."""
    account = ChannelAccountFactory(**fields)
    WebhookDeliveryFactory(account=account, received_at=ago(seconds=9))
    conversation = ConversationFactory(account=account, last_message_at=NOW())
    MessageFactory(conversation=conversation, status="relayed", relayed_at=ago(seconds=8))
    answer = MessageFactory(conversation=conversation, direction="out", status="delivered", settled_at=ago(seconds=5))
    OutboxEntryFactory(message=answer, state="accepted")
    return account


def health(account: ChannelAccount, **fields: Any) -> None:
    AccountHealth.objects.update_or_create(account=account, defaults=fields)


def point(name: str, *, ok: bool, **fields: str) -> dict[str, Any]:
    return {"name": name, "ok": ok, "said": "what the provider said", "at": NOW().isoformat(), **fields}


def failed(account: ChannelAccount, code: str, provider_code: str = "", count: int = 1) -> None:
    conversation = ConversationFactory(account=account, last_message_at=NOW())
    for _ in range(count):
        message = MessageFactory(
            conversation=conversation, direction="out", status="failed", error_code=code, settled_at=NOW()
        )
        OutboxEntryFactory(message=message, state="dead", error_code=code, provider_code=provider_code)


def test_a_new_account_is_not_set_up() -> None:
    status = status_of(ChannelAccountFactory())

    assert (status.state, verdicts(status), status.why) == (State.NOT_SET_UP, "ooooo", None)


def test_after_the_handshake_it_waits_for_its_first_webhook() -> None:
    account = ChannelAccountFactory()
    health(account, handshake_at=NOW())

    status = status_of(account)

    assert (status.state, verdicts(status)) == (State.WAITING, "+oooo")


def test_when_messages_go_both_ways_it_is_live() -> None:
    status = status_of(busy())

    assert (status.state, verdicts(status), status.why) == (State.LIVE, "+++++", None)
    assert sum(status.by_hour) == 1


def test_a_wrong_secret_breaks_it_and_is_explained() -> None:
    account = busy()
    health(account, rejected_at=NOW(), rejected_code="bad_signature")

    status = status_of(account)

    assert (status.state, verdicts(status)) == (State.BROKEN, "+-+++")
    assert status.why == explain("bad_signature", kind=account.kind)


def test_a_rejection_before_the_last_good_webhook_is_forgotten() -> None:
    account = busy()
    health(account, rejected_at=ago(minutes=5), rejected_code="bad_signature")

    assert status_of(account).state == State.LIVE


def test_webhooks_for_somebody_else_degrade_it() -> None:
    account = busy()
    WebhookDeliveryFactory(account=account, state="quarantined", reason="for 7, not for this account")

    status = status_of(account)

    assert (status.state, verdicts(status)) == (State.DEGRADED, "++-++")
    assert "for 7, not for this account" in status.stages[2].words


def test_a_message_that_connect_does_not_take_breaks_it() -> None:
    account = busy()
    conversation = ConversationFactory(account=account, last_message_at=NOW())
    MessageFactory(conversation=conversation, created_at=ago(minutes=5), error_code="connect_refused")

    status = status_of(account)

    assert (status.state, verdicts(status)) == (State.BROKEN, "+++-+")
    assert status.why == explain("connect_refused")


@pytest.mark.parametrize(
    ("code", "provider_code", "state", "cause"),
    [
        ("window_closed", "63016", State.DEGRADED, "more than 24 hours old"),
        ("account", "63015", State.DEGRADED, "has not joined the WhatsApp sandbox"),
        ("auth", "20003", State.RECONNECT, "do not belong together"),
        ("blocked", "", State.DEGRADED, "blocked the account"),
    ],
)
def test_a_failed_send_is_explained_with_the_providers_code(
    code: str, provider_code: str, state: State, cause: str
) -> None:
    account = busy()
    failed(account, code, provider_code)

    status = status_of(account)

    assert (status.state, verdicts(status)) == (state, "++++-")
    assert status.why is not None
    assert status.why.code == provider_code
    assert cause in status.why.cause
    assert status.failures == 1


def test_a_point_that_fails_breaks_it_and_shows_the_difference() -> None:
    account = busy()
    wrong = point("Address", ok=False, theirs="https://old.example", ours="https://new.example", fix="Register it.")
    health(account, points=[point("Credentials", ok=True), wrong])

    status = status_of(account)

    assert status.state == State.BROKEN
    assert status.why is not None
    assert status.why.cause == "Theirs: https://old.example. Ours: https://new.example."
    assert status.why.fix == "Register it."


def test_credentials_that_the_provider_refuses_need_reconnecting() -> None:
    account = busy()
    health(account, points=[point("Credentials", ok=False)])
    other = busy()
    InboundCheck.objects.create(account=other, due_at=NOW(), refused=True, trouble="auth: expired")

    assert status_of(account).state == State.RECONNECT
    assert status_of(other).state == State.RECONNECT


def test_what_is_the_accounts_own_trouble_is_broken_and_not_a_matter_of_credentials() -> None:
    account = busy()
    InboundCheck.objects.create(account=account, due_at=NOW(), refused=True, trouble="account: Not allowed.")

    status = status_of(account)

    assert status.state == State.BROKEN
    assert status.why is not None
    assert (status.why.happened, status.why.words) == (
        "The messenger does not let the account send.",
        "account: Not allowed.",
    )


@pytest.mark.parametrize("code", ["blocked", "opted_out", "invalid_recipient", "window_closed", "account", "failed"])
def test_a_refusal_that_is_not_about_credentials_asks_for_none(code: str) -> None:
    account = busy()
    failed(account, code)

    assert status_of(account).state == State.DEGRADED


@pytest.mark.parametrize(
    ("days", "state", "said"), [(8, State.LIVE, ""), (3, State.LIVE, "ends on"), (-1, State.RECONNECT, "ended on")]
)
def test_one_hears_of_a_token_before_it_ends(days: int, state: State, said: str) -> None:
    account = busy()
    health(account, expires_at=NOW() + timedelta(days=days))

    status = status_of(account)

    assert status.state == state
    assert (said in status.notice) if said else not status.notice


def test_a_longer_silence_than_usual_is_quiet() -> None:
    account = ChannelAccountFactory()
    for hours in (30, 28, 26):
        WebhookDeliveryFactory(account=account, received_at=ago(hours=hours))

    assert status_of(account).state == State.QUIET


def test_a_silence_as_usual_is_live() -> None:
    account = ChannelAccountFactory()
    for hours in (90, 60, 30):
        WebhookDeliveryFactory(account=account, received_at=ago(hours=hours))

    assert status_of(account).state == State.LIVE


@pytest.mark.parametrize(("hours", "state"), [(1, State.LIVE), (30, State.QUIET)])
def test_whoever_was_heard_stays_known_after_the_webhooks_were_let_go(hours: int, state: State) -> None:
    conversation = ConversationFactory(last_message_at=ago(hours=hours))
    MessageFactory(conversation=conversation, status="relayed", relayed_at=ago(hours=hours))

    assert status_of(conversation.account).state == state


def test_paused_and_switched_off_say_so() -> None:
    assert status_of(busy(paused_since=NOW())).state == State.PAUSED
    assert status_of(busy(enabled=False)).state == State.OFF


def test_many_accounts_take_as_many_queries_as_one(django_assert_num_queries) -> None:
    one = [busy()]
    failed(one[0], "blocked")
    with CaptureQueriesContext(connection) as few:
        account_statuses(one)
    many = [*one, *(busy() for _ in range(5))]

    with django_assert_num_queries(len(few)):
        assert len(account_statuses(many)) == 6


def test_every_error_that_can_happen_is_explained() -> None:
    from channels_app import errors
    from connect_bridge.connect import gateway

    def below(cls: type) -> set[str]:
        return (
            {cls.code} | {code for sub in cls.__subclasses__() for code in below(sub)}
            if hasattr(cls, "code")
            else set()
        )

    codes = (below(errors.SendFailed) | below(gateway.GatewayError)) - {"failed", "connect"}
    assert codes - set(KNOWN) == set()
    assert all(one.advice for one in channels().values())


def test_the_page_shows_state_stages_and_what_to_do(admin_client: Client) -> None:
    account = busy(name="Shop <b>")
    failed(account, "window_closed", "63016")

    page = admin_client.get(reverse("channels")).content.decode()

    for shown in (
        "Degraded",
        "Reachable",
        "Delivered",
        "Last webhook",
        "63016",
        "Likely cause",
        "Fix this",
        "Shop &lt;b&gt;",
    ):
        assert shown in page


def test_the_page_asks_as_often_for_many_accounts_as_for_one(admin_client: Client, django_assert_num_queries) -> None:
    failed(busy(), "blocked")
    with CaptureQueriesContext(connection) as few:
        admin_client.get(reverse("channels"))
    for _ in range(5):
        failed(busy(), "blocked")

    with django_assert_num_queries(len(few)):
        admin_client.get(reverse("channels"))


@pytest.mark.parametrize("path", ["twitter", "messenger", "whatsapp"])
def test_who_is_turned_away_leaves_a_trace(client: Client, path: str, settings) -> None:
    account = ChannelAccountFactory(kind=path, address="1000000001" if path != "whatsapp" else "+34600000001")

    answer = client.post(f"/webhooks/{path}/{account.pk}/", json.dumps({}), content_type="application/json")

    assert answer.status_code in (401, 400)
    if answer.status_code == 401:
        assert AccountHealth.objects.get(account=account).rejected_code == "bad_signature"


def test_an_answered_handshake_leaves_a_trace(client: Client) -> None:
    account = ChannelAccountFactory(kind="messenger", address="200000000000001")
    good = {"hub.mode": "subscribe", "hub.verify_token": "verify-token", "hub.challenge": "1"}

    client.get(f"/webhooks/messenger/{account.pk}/", {**good, "hub.verify_token": "wrong"})
    refused = AccountHealth.objects.get(account=account)
    client.get(f"/webhooks/messenger/{account.pk}/", good)

    answered = AccountHealth.objects.get(account=account)
    assert (refused.rejected_code, refused.handshake_at) == ("bad_verify_token", None)
    assert answered.handshake_at is not None


def test_a_set_up_that_connect_refuses_is_told_with_its_words() -> None:
    account = busy()
    conversation = ConversationFactory(account=account, last_message_at=NOW())
    words = "Amazon Connect refused StartChatContact: ResourceNotFoundException (404)"
    MessageFactory(
        conversation=conversation, created_at=ago(minutes=5), error_code="connect_set_up", error_detail=words
    )

    status = status_of(account)

    assert status.state == State.BROKEN
    assert status.why == explain("connect_set_up", words=words)


def test_a_refused_set_up_shows_however_much_was_written_after_it_and_elsewhere() -> None:
    account, words = busy(), "Amazon Connect refused StartChatContact: ResourceNotFoundException (404)"
    refused = ConversationFactory(account=account, last_message_at=ago(minutes=4))
    told = {"error_code": "connect_set_up", "error_detail": words}
    for number in range(1, 16):
        given = told if number == 1 else {}
        MessageFactory(conversation=refused, sequence=number, created_at=ago(minutes=5, seconds=-number), **given)
    for _ in range(25):
        other = ConversationFactory(account=account, last_message_at=NOW())
        MessageFactory(conversation=other, status="relayed", relayed_at=NOW())

    status = status_of(account)

    assert (status.state, status.stages[3].verdict) == (State.BROKEN, Verdict.BAD)
    assert status.why == explain("connect_set_up", words=words)


def test_what_only_a_person_can_mend_is_told_before_what_passes() -> None:
    account = busy()
    for minutes, code in ((4, "connect_throttled"), (3, "connect_set_up"), (2, "connect_unreachable")):
        conversation = ConversationFactory(account=account, last_message_at=NOW())
        MessageFactory(conversation=conversation, created_at=ago(minutes=minutes), error_code=code)

    assert status_of(account).why == explain("connect_set_up")


def test_messages_that_wait_for_opening_hours_break_nothing() -> None:
    account = busy()
    conversation = ConversationFactory(account=account, last_message_at=NOW())
    MessageFactory(conversation=conversation, sequence=1, created_at=ago(hours=5), error_code="closed")
    MessageFactory(conversation=conversation, sequence=2, created_at=ago(hours=4))

    assert status_of(account).state == State.LIVE
