from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from channels_app.accounts import provider_checks
from channels_app.accounts.service import save_account
from channels_app.models import AccountHealth, ChannelAccount, SetupDraft
from channels_app.tasks import ask_how_it_is_set_up
from sandbox.world.accounts import Phones
from sandbox.world.settings import Settings
from tests.admin_kit import redirects
from tests.factories import ConversationFactory, InboundEntryFactory, MessageFactory, OutboxEntryFactory
from tests.sandbox.kit import RunningWorld, running

ADD = "/admin/channels/add/"
#: What the simulated providers know.
GOOD = {
    "twitter": {
        "consumer_key": "CANARY-consumer-key",
        "consumer_secret": "CANARY-consumer-secret-9c1d",
        "access_token": "CANARY-access-token",
        "access_token_secret": "CANARY-access-token-secret",
        "user_id": "1900000000000000001",
    },
    "messenger": {
        "app_secret": "CANARY-app-secret-of-the-app-4f2a",
        "page_id": "300000000000001",
        "page_access_token": "CANARY-page-access-token",
        "verify_token": "CANARY-verify",
    },
    "whatsapp": {
        "account_sid": "AC" + "7" * 32,
        "auth_token": "CANARY-auth-token-of-twilio",
        "number": "+15550100777",
    },
}
#: The credential that is our address there.
ADDRESS = {"twitter": "user_id", "messenger": "page_id", "whatsapp": "number"}
#: The credential by which each provider tells that another one is wrong.
SPOILT = {"twitter": "consumer_secret", "messenger": "page_access_token", "whatsapp": "auth_token"}

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(settings) -> Iterator[RunningWorld]:
    with running(Settings(quotas=False)) as world:
        settings.HTTP_REDIRECTS = redirects(world.url)
        for kind, credentials in GOOD.items():
            world.call("POST", "/phones/accounts", {"kind": kind, "credentials": credentials})
        yield world


@pytest.fixture
def supervisor() -> Client:
    user = User.objects.create_user("ana")
    user.groups.add(Group.objects.get(name="Supervisor"))
    client = Client()
    client.force_login(user)
    return client


def begun(client: Client, kind: str) -> SetupDraft:
    client.post(ADD, {"kind": kind})
    return SetupDraft.objects.get(kind=kind)


def typed(credentials: dict[str, str], **others: str) -> dict[str, str]:
    return {"name": "Shop", **{f"credential_{key}": text for key, text in credentials.items()}, **others}


def step(row: SetupDraft | ChannelAccount, name: str) -> str:
    return reverse("channel-step", args=[row.pk, name])


def raw_rows() -> str:
    """Return everything in the database as text, as a dump of it would have it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")
        found = []
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT t::text FROM "{table}" t')
            found += [row[0] for row in cursor.fetchall()]
    return "\n".join(found)


def test_one_chooses_a_messenger_and_reads_what_to_have_ready(supervisor: Client) -> None:
    choice = supervisor.get(ADD).content.decode()
    draft = begun(supervisor, "messenger")
    page = supervisor.get(step(draft, "ready")).content.decode()

    assert 'value="twitter"' in choice
    assert "Page access token" in page
    assert "usual trap" in page


def test_the_form_asks_for_what_the_channel_needs(supervisor: Client) -> None:
    page = supervisor.get(step(begun(supervisor, "twitter"), "credentials")).content.decode()

    assert 'type="password" name="credential_consumer_secret"' in page
    assert 'type="text" name="credential_user_id"' in page
    assert "Numeric id of the account that customers write to." in page


@pytest.mark.parametrize("kind", GOOD)
def test_what_was_typed_survives_however_incomplete(supervisor: Client, kind: str) -> None:
    draft = begun(supervisor, kind)
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
    draft = begun(supervisor, kind)

    answer = supervisor.post(step(draft, "credentials"), typed(GOOD[kind], change_reason="new shop"))

    account = ChannelAccount.objects.get(pk=draft.pk)
    assert answer.headers["Location"] == step(account, "webhook")
    assert account.credentials == GOOD[kind]
    assert account.address == GOOD[kind][ADDRESS[kind]]
    assert not SetupDraft.objects.exists()
    assert {one.set_by for one in account.secrets.all()} == {"ana"}
    assert account.history.get().history_change_reason == "new shop"


@pytest.mark.parametrize("kind", GOOD)
def test_a_second_account_of_a_kind_stands_beside_the_first(supervisor: Client, kind: str) -> None:
    other = {**GOOD[kind], ADDRESS[kind]: GOOD[kind][ADDRESS[kind]][:-1] + "5"}
    for credentials in (GOOD[kind], other):
        supervisor.post(step(begun(supervisor, kind), "credentials"), typed(credentials, unasked="on"))

    assert set(ChannelAccount.objects.values_list("address", flat=True)) == {
        GOOD[kind][ADDRESS[kind]],
        other[ADDRESS[kind]],
    }


@pytest.mark.parametrize("kind", GOOD)
def test_secrets_of_an_account_made_here_can_be_replaced_here(supervisor: Client, kind: str) -> None:
    draft = begun(supervisor, kind)
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
    draft = begun(supervisor, kind)

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
    for one in world.world.part(Phones).of(kind):
        if one.address == account.address:
            one.credentials[SPOILT[kind]] = "CANARY-the-new-one-77aa"
    supervisor.post(step(account, "credentials"), typed({**open_part, SPOILT[kind]: "CANARY-the-new-one-77aa"}))

    account.refresh_from_db()
    assert "Not saved." in refused.content.decode()
    assert kept == GOOD[kind]
    assert account.credentials[SPOILT[kind]] == "CANARY-the-new-one-77aa"
    assert account.former_credentials == GOOD[kind]
    left = account.former_credentials_until - timezone.now()
    assert timedelta(hours=23, minutes=59) < left <= timedelta(hours=24)
    assert account.history.first().notes == [f"secret replaced: {SPOILT[kind]}"]
    known = account.secrets.get(key=SPOILT[kind])
    assert (known.tail, known.set_by) == ("77aa", "ana")
    assert "CANARY" not in raw_rows()


def test_a_messenger_that_is_away_can_be_left_unasked(supervisor: Client) -> None:
    draft = begun(supervisor, "whatsapp")

    supervisor.post(step(draft, "credentials"), typed(GOOD["whatsapp"], unasked="on"))

    assert ChannelAccount.objects.get(pk=draft.pk).credentials == GOOD["whatsapp"]


def test_one_page_is_not_set_up_twice(supervisor: Client) -> None:
    save_account("messenger", "First", GOOD["messenger"])

    page = supervisor.post(step(begun(supervisor, "messenger"), "credentials"), typed(GOOD["messenger"], unasked="on"))

    assert "is set up already, as “First”" in page.content.decode()


def test_an_account_that_customers_wrote_to_keeps_its_address(supervisor: Client) -> None:
    account = save_account("messenger", "Shop", GOOD["messenger"])
    InboundEntryFactory(delivery__account=account)

    page = supervisor.post(step(account, "credentials"), typed({"page_id": "300000000000009"}, unasked="on"))

    account.refresh_from_db()
    assert "Add a new account for the new address." in page.content.decode()
    assert account.address == GOOD["messenger"]["page_id"]


def test_the_address_and_the_verify_token_are_there_to_copy(supervisor: Client, settings) -> None:
    settings.PUBLIC_BASE_URL = "https://parley.example.com"
    account = save_account("messenger", "Shop", {**GOOD["messenger"], "verify_token": "shown-on-purpose"})

    page = supervisor.get(step(account, "webhook")).content.decode()

    assert f"https://parley.example.com/webhooks/messenger/{account.pk}/" in page
    assert "shown-on-purpose" in page
    assert page.count("data-copy=") == 2


@pytest.mark.parametrize("kind", GOOD)
def test_each_point_is_asked_singly_and_tells_what_is_wrong(
    supervisor: Client, world: RunningWorld, settings, kind: str
) -> None:
    account = save_account(kind, "Shop", GOOD[kind])
    names = re.findall(r'data-point="([^"]+)"', supervisor.get(step(account, "verify")).content.decode())

    said = {}
    for name in names:
        answer = supervisor.post(reverse("channel-check", args=[account.pk]), {"name": name})
        said[name] = answer.content.decode()

    address = {"twitter": "Webhook registered", "messenger": "Webhook of the app"}.get(kind, names[2])
    assert len(names) == 4
    assert "✓" in said[names[0]]
    assert "✗" in said[address]
    assert f"/webhooks/{kind}/{account.pk}/" in said[address]
    assert "Register our address" in said[address]
    assert [point["name"] for point in AccountHealth.objects.get(account=account).points] == names
    assert "CANARY" not in "".join(said.values())


def test_an_unknown_point_is_not_asked(supervisor: Client, world: RunningWorld) -> None:
    account = save_account("twitter", "Shop", GOOD["twitter"])

    assert supervisor.post(reverse("channel-check", args=[account.pk]), {"name": "x"}).status_code == 404


def test_the_test_is_over_only_when_an_answer_came_back(supervisor: Client) -> None:
    account = save_account("whatsapp", "Shop", GOOD["whatsapp"])
    supervisor.post(step(account, "test"))
    page = supervisor.get(step(account, "test")).content.decode()
    code = re.search(r"Parley test (\d{4})", page)[1]
    status = reverse("channel-test-status", args=[account.pk])
    conversation = ConversationFactory(account=account)
    others = MessageFactory(conversation=conversation, text="hello", status="relayed", relayed_at=timezone.now())

    before = supervisor.get(status).content.decode()
    entry = InboundEntryFactory(delivery__account=account)
    asked = MessageFactory(conversation=conversation, text=f"Parley test {code}", entry=entry)
    received = supervisor.get(status).content.decode()
    asked.relayed_at, asked.status = timezone.now(), "relayed"
    asked.save()
    answer = OutboxEntryFactory(message__conversation=conversation).message
    answered = supervisor.get(status).content.decode()
    answer.status, answer.settled_at = "delivered", timezone.now()
    answer.save()
    complete = supervisor.get(status).content.decode()

    account.refresh_from_db()
    assert others.sequence == 1
    assert f"https://wa.me/15550100777?text=Parley%20test%20{code}" in page
    assert "<svg" in page
    assert [text.count("✓") for text in (before, received, answered, complete)] == [0, 2, 4, 5]
    assert "It works" not in answered
    assert "It works" in complete
    assert account.live_since is not None


def test_a_test_that_fails_says_why(supervisor: Client) -> None:
    account = save_account("whatsapp", "Shop", GOOD["whatsapp"])
    supervisor.post(step(account, "test"))
    code = AccountHealth.objects.get(account=account).test_code
    conversation = ConversationFactory(account=account)
    MessageFactory(conversation=conversation, text=code, entry=InboundEntryFactory(delivery__account=account))
    failed = OutboxEntryFactory(
        message__conversation=conversation,
        message__status="failed",
        message__error_code="account",
        state="dead",
        provider_code="63015",
    )

    told = supervisor.get(reverse("channel-test-status", args=[account.pk])).content.decode()

    assert failed.provider_code in told
    assert "join code" in told


@pytest.mark.parametrize("role", ["Viewer", "Manager", "Ops", "Auditor"])
def test_only_who_may_set_up_channels_does(role: str) -> None:
    user = User.objects.create_user("somebody")
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    account = save_account("twitter", "Shop", GOOD["twitter"])
    draft = SetupDraft.objects.create(kind="twitter", by="ana")

    pages = [
        ADD,
        *(step(account, name) for name in ("ready", "credentials", "webhook", "test", "live")),
        step(draft, "ready"),
    ]
    assert {client.get(page).status_code for page in pages} == {403}
    posts = ("channel-check", "channel-pause")
    assert {client.post(reverse(name, args=[account.pk])).status_code for name in posts} == {403}


def test_canaries_are_found_nowhere(
    supervisor: Client, admin_client: Client, world: RunningWorld, caplog: pytest.LogCaptureFixture
) -> None:
    """Set all three up, wrongly and rightly, and look everywhere that a secret could have gone to."""
    caplog.set_level(logging.DEBUG, logger="")
    seen = []
    for kind, good in GOOD.items():
        draft = begun(supervisor, kind)
        seen.append(supervisor.post(step(draft, "credentials"), typed({**good, SPOILT[kind]: "CANARY-wrong"})))
        seen.append(supervisor.post(step(draft, "credentials"), typed(good), follow=True))
        account = ChannelAccount.objects.get(pk=draft.pk)
        steps = ("ready", "credentials", "verify", "route", "hours", "test", "live")
        seen += [supervisor.get(step(account, name)) for name in steps]
        points = re.findall(r'data-point="([^"]+)"', supervisor.get(step(account, "verify")).content.decode())
        seen += [supervisor.post(reverse("channel-check", args=[account.pk]), {"name": point}) for point in points]
        names = [f"admin:channels_app_channelaccount_{name}" for name in ("change", "history")]
        seen += [admin_client.get(reverse(name, args=[account.pk])) for name in names]
    seen += [admin_client.get(page) for page in ("/admin/channels/", "/admin/audit/", "/api/v1/accounts/")]
    dump = StringIO()
    call_command("dumpdata", "channels_app", "people", stdout=dump)

    pages = "".join(answer.content.decode() for answer in seen)
    # The verify token is no secret towards who sets up: it is there to be copied.
    assert "CANARY" not in pages.replace("CANARY-verify", "")
    assert "CANARY" not in raw_rows()
    assert "CANARY" not in dump.getvalue()
    assert "CANARY" not in caplog.text
    assert len(json.loads(dump.getvalue())) > 10


def test_each_account_is_asked_about_by_itself_once_in_a_while(world: RunningWorld) -> None:
    account = save_account("whatsapp", "Acme", GOOD["whatsapp"])
    switched_off = save_account("messenger", "Off", GOOD["messenger"])
    ChannelAccount.objects.filter(pk=switched_off.pk).update(enabled=False)
    assert [one.pk for one in provider_checks.due()] == [account.pk]

    ask_how_it_is_set_up(str(account.pk))
    ask_how_it_is_set_up(str(switched_off.pk))

    assert provider_checks.due() == []
    assert {point.name for point in provider_checks.points_of(AccountHealth.objects.get())} == set(
        provider_checks.names_of("whatsapp", account)
    )
