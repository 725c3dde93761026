from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from channels_app.accounts.service import save_account
from channels_app.models import ChannelAccount, SetupDraft
from sandbox.world.accounts import Phones
from tests.connect_bridge.setup.kit import ADD, ADDRESS, GOOD, SPOILT, new_draft, raw_rows, step, typed
from tests.factories import InboundEntryFactory
from tests.sandbox.kit import RunningWorld

pytestmark = pytest.mark.django_db


def test_one_chooses_a_messenger_and_reads_what_to_have_ready(supervisor: Client) -> None:
    choice = supervisor.get(ADD).content.decode()
    draft = new_draft(supervisor, "messenger")
    page = supervisor.get(step(draft, "ready")).content.decode()

    assert 'value="twitter"' in choice
    assert "Page access token" in page
    assert "usual trap" in page


def test_the_form_asks_for_what_the_channel_needs(supervisor: Client) -> None:
    page = supervisor.get(step(new_draft(supervisor, "twitter"), "credentials")).content.decode()

    assert 'type="password" name="credential_consumer_secret"' in page
    assert 'type="text" name="credential_user_id"' in page
    assert "Numeric id of the account that customers write to." in page


@pytest.mark.parametrize("kind", GOOD)
def test_what_was_typed_survives_however_incomplete(supervisor: Client, kind: str) -> None:
    draft = new_draft(supervisor, kind)
    key = SPOILT[kind]

    refused = supervisor.post(step(draft, "credentials"), {"name": "Shop", f"credential_{key}": "CANARY-typed"})
    again = supervisor.get(step(draft, "credentials")).content.decode()

    draft.refresh_from_db()
    assert "This field is required." in refused.content.decode()
    assert draft.credentials == {key: "CANARY-typed"}
    assert 'value="Shop"' in again
    assert "•••• set" in again
    assert "CANARY" not in again + refused.content.decode() + raw_rows()


@pytest.mark.parametrize("kind", GOOD)
def test_good_credentials_make_the_draft_an_account(supervisor: Client, world: RunningWorld, kind: str) -> None:
    draft = new_draft(supervisor, kind)

    answer = supervisor.post(step(draft, "credentials"), typed(GOOD[kind], change_reason="new shop"))

    account = ChannelAccount.objects.get(pk=draft.pk)
    assert answer.headers["Location"] == step(account, "webhook")
    assert account.credentials == GOOD[kind]
    assert account.address == GOOD[kind][ADDRESS[kind]]
    assert not SetupDraft.objects.exists()
    assert {secret.set_by for secret in account.secrets.all()} == {"ana"}
    assert account.history.get().history_change_reason == "new shop"


@pytest.mark.parametrize("kind", GOOD)
def test_a_second_account_of_a_kind_stands_beside_the_first(supervisor: Client, kind: str) -> None:
    other = {**GOOD[kind], ADDRESS[kind]: GOOD[kind][ADDRESS[kind]][:-1] + "5"}
    for credentials in (GOOD[kind], other):
        supervisor.post(step(new_draft(supervisor, kind), "credentials"), typed(credentials, unasked="on"))

    assert set(ChannelAccount.objects.values_list("address", flat=True)) == {
        GOOD[kind][ADDRESS[kind]],
        other[ADDRESS[kind]],
    }


@pytest.mark.parametrize("kind", GOOD)
def test_secrets_of_an_account_made_here_can_be_replaced_here(supervisor: Client, kind: str) -> None:
    draft = new_draft(supervisor, kind)
    supervisor.post(step(draft, "credentials"), typed(GOOD[kind], unasked="on"))
    account = ChannelAccount.objects.get(pk=draft.pk)
    InboundEntryFactory(delivery__account=account)
    fresh = {**GOOD[kind], SPOILT[kind]: "CANARY-the-next-one-88bb"}

    answer = supervisor.post(step(account, "credentials"), typed(fresh, unasked="on"))

    account.refresh_from_db()
    assert answer.status_code == 302
    assert account.credentials == fresh
    assert account.address == GOOD[kind][ADDRESS[kind]]


def test_an_account_that_was_stored_without_its_address_gets_it(supervisor: Client) -> None:
    account = save_account("messenger", "Shop", GOOD["messenger"])
    ChannelAccount.objects.update(address="")
    InboundEntryFactory(delivery__account=account)

    supervisor.post(step(account, "credentials"), typed(GOOD["messenger"], unasked="on"))

    account.refresh_from_db()
    assert account.address == GOOD["messenger"]["page_id"]


@pytest.mark.parametrize("kind", GOOD)
def test_credentials_that_the_provider_does_not_know_are_not_stored(
    supervisor: Client, world: RunningWorld, kind: str
) -> None:
    draft = new_draft(supervisor, kind)

    page = supervisor.post(step(draft, "credentials"), typed({**GOOD[kind], SPOILT[kind]: "CANARY-wrong"}))

    assert "Not saved." in page.content.decode()
    assert "CANARY" not in page.content.decode()
    assert not ChannelAccount.objects.exists()


@pytest.mark.parametrize("kind", GOOD)
def test_a_secret_is_dropped_only_when_the_provider_knows_the_new_one(
    supervisor: Client, world: RunningWorld, kind: str
) -> None:
    account = save_account(kind, "Shop", GOOD[kind], by="root")
    open_part = {
        key: text for key, text in GOOD[kind].items() if key in ("user_id", "page_id", "account_sid", "number")
    }

    refused = supervisor.post(step(account, "credentials"), typed({**open_part, SPOILT[kind]: "CANARY-unknown"}))
    account.refresh_from_db()
    kept = account.credentials
    for account_there in world.world.part(Phones).of(kind):
        if account_there.address == account.address:
            account_there.credentials[SPOILT[kind]] = "CANARY-the-new-one-77aa"
    supervisor.post(step(account, "credentials"), typed({**open_part, SPOILT[kind]: "CANARY-the-new-one-77aa"}))

    account.refresh_from_db()
    assert "Not saved." in refused.content.decode()
    assert kept == GOOD[kind]
    assert account.credentials[SPOILT[kind]] == "CANARY-the-new-one-77aa"
    assert account.former_credentials == GOOD[kind]
    left = account.former_credentials_until - timezone.now()
    assert timedelta(hours=23, minutes=59) < left <= timedelta(hours=24)
    assert account.history.first().notes == [f"secret replaced: {SPOILT[kind]}"]
    secret = account.secrets.get(key=SPOILT[kind])
    assert (secret.tail, secret.set_by) == ("77aa", "ana")
    assert "CANARY" not in raw_rows()


def test_a_messenger_that_is_away_can_be_left_unasked(supervisor: Client) -> None:
    draft = new_draft(supervisor, "whatsapp")

    supervisor.post(step(draft, "credentials"), typed(GOOD["whatsapp"], unasked="on"))

    assert ChannelAccount.objects.get(pk=draft.pk).credentials == GOOD["whatsapp"]


def test_one_page_is_not_set_up_twice(supervisor: Client) -> None:
    save_account("messenger", "First", GOOD["messenger"])

    page = supervisor.post(
        step(new_draft(supervisor, "messenger"), "credentials"), typed(GOOD["messenger"], unasked="on")
    )

    assert "is set up already, as “First”" in page.content.decode()


def test_an_account_that_customers_wrote_to_keeps_its_address(supervisor: Client) -> None:
    account = save_account("messenger", "Shop", GOOD["messenger"])
    InboundEntryFactory(delivery__account=account)

    page = supervisor.post(step(account, "credentials"), typed({"page_id": "300000000000009"}, unasked="on"))

    account.refresh_from_db()
    assert "Add a new account for the new address." in page.content.decode()
    assert account.address == GOOD["messenger"]["page_id"]
