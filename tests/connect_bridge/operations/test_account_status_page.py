from __future__ import annotations

import json

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from channels_app.accounts.explanations import KNOWN
from channels_app.models import AccountHealth
from channels_app.registry import channels
from connect_bridge.operations.account_status import account_statuses
from tests.connect_bridge.operations.status_kit import add_failed_sends, working_account
from tests.factories import (
    ChannelAccountFactory,
)

pytestmark = pytest.mark.django_db


def test_many_accounts_take_as_many_queries_as_one(django_assert_num_queries) -> None:
    few_accounts = [working_account()]
    add_failed_sends(few_accounts[0], "blocked")
    with CaptureQueriesContext(connection) as few:
        account_statuses(few_accounts)
    many = [*few_accounts, *(working_account() for _ in range(5))]

    with django_assert_num_queries(len(few)):
        assert len(account_statuses(many)) == 6


def test_the_page_shows_state_stages_and_what_to_do(admin_client: Client) -> None:
    account = working_account(name="Shop <b>")
    add_failed_sends(account, "window_closed", "63016")

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
    add_failed_sends(working_account(), "blocked")
    with CaptureQueriesContext(connection) as few:
        admin_client.get(reverse("channels"))
    for _ in range(5):
        add_failed_sends(working_account(), "blocked")

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
    assert all(channel.advice for channel in channels().values())
