from __future__ import annotations

from datetime import timedelta

import pytest

from channels_app.accounts.explanations import explain
from channels_app.models import InboundCheck
from connect_bridge.operations.account_status import State
from tests.connect_bridge.operations.status_kit import (
    NOW,
    add_failed_sends,
    ago,
    health,
    point,
    status_of,
    verdicts,
    working_account,
)
from tests.factories import (
    ChannelAccountFactory,
    ConversationFactory,
    MessageFactory,
    WebhookDeliveryFactory,
)

pytestmark = pytest.mark.django_db


def test_a_new_account_is_not_set_up() -> None:
    status = status_of(ChannelAccountFactory())

    assert (status.state, verdicts(status), status.why) == (State.NOT_SET_UP, "ooooo", None)


def test_after_the_handshake_it_waits_for_its_first_webhook() -> None:
    account = ChannelAccountFactory()
    health(account, handshake_at=NOW())

    status = status_of(account)

    assert (status.state, verdicts(status)) == (State.WAITING, "+oooo")


def test_when_messages_go_both_ways_it_is_live() -> None:
    status = status_of(working_account())

    assert (status.state, verdicts(status), status.why) == (State.LIVE, "+++++", None)
    assert sum(status.by_hour) == 1


def test_a_wrong_secret_breaks_it_and_is_explained() -> None:
    account = working_account()
    health(account, rejected_at=NOW(), rejected_code="bad_signature")

    status = status_of(account)

    assert (status.state, verdicts(status)) == (State.BROKEN, "+-+++")
    assert status.why == explain("bad_signature", kind=account.kind)


def test_a_rejection_before_the_last_good_webhook_is_forgotten() -> None:
    account = working_account()
    health(account, rejected_at=ago(minutes=5), rejected_code="bad_signature")

    assert status_of(account).state == State.LIVE


def test_webhooks_for_somebody_else_degrade_it() -> None:
    account = working_account()
    WebhookDeliveryFactory(account=account, state="quarantined", reason="for 7, not for this account")

    status = status_of(account)

    assert (status.state, verdicts(status)) == (State.DEGRADED, "++-++")
    assert "for 7, not for this account" in status.stages[2].words


def test_a_message_that_connect_does_not_take_breaks_it() -> None:
    account = working_account()
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
    account = working_account()
    add_failed_sends(account, code, provider_code)

    status = status_of(account)

    assert (status.state, verdicts(status)) == (state, "++++-")
    assert status.why is not None
    assert status.why.code == provider_code
    assert cause in status.why.cause
    assert status.failures == 1


def test_a_point_that_fails_breaks_it_and_shows_the_difference() -> None:
    account = working_account()
    wrong = point("Address", ok=False, theirs="https://old.example", ours="https://new.example", fix="Register it.")
    health(account, points=[point("Credentials", ok=True), wrong])

    status = status_of(account)

    assert status.state == State.BROKEN
    assert status.why is not None
    assert status.why.cause == "Theirs: https://old.example. Ours: https://new.example."
    assert status.why.fix == "Register it."


def test_credentials_that_the_provider_refuses_need_reconnecting() -> None:
    account = working_account()
    health(account, points=[point("Credentials", ok=False)])
    other = working_account()
    InboundCheck.objects.create(account=other, due_at=NOW(), refused=True, trouble="auth: expired")

    assert status_of(account).state == State.RECONNECT
    assert status_of(other).state == State.RECONNECT


def test_what_is_the_accounts_own_trouble_is_broken_and_not_a_matter_of_credentials() -> None:
    account = working_account()
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
    account = working_account()
    add_failed_sends(account, code)

    assert status_of(account).state == State.DEGRADED


@pytest.mark.parametrize(
    ("days", "state", "notice"), [(8, State.LIVE, ""), (3, State.LIVE, "ends on"), (-1, State.RECONNECT, "ended on")]
)
def test_one_hears_of_a_token_before_it_ends(days: int, state: State, notice: str) -> None:
    account = working_account()
    health(account, expires_at=NOW() + timedelta(days=days))

    status = status_of(account)

    assert status.state == state
    assert (notice in status.notice) if notice else not status.notice


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
    assert status_of(working_account(paused_since=NOW())).state == State.PAUSED
    assert status_of(working_account(enabled=False)).state == State.OFF
