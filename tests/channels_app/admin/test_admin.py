from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from channels_app.accounts.service import save_account
from channels_app.models import ChannelAccount, WebhookDelivery
from tests.factories import (
    CREDENTIALS,
    ChannelAccountFactory,
    ChannelLogFactory,
    InboundEntryFactory,
    WebhookDeliveryFactory,
)

ADD = "/admin/channels_app/channelaccount/add/"
CONFIG = {
    "consumer_key": "CANARY-key",
    "consumer_secret": "CANARY-consumer-secret",
    "access_token": "CANARY-token",
    "access_token_secret": "CANARY-token-secret",
    "user_id": "1000000001",
}

pytestmark = pytest.mark.django_db


def filled(**others: str) -> dict[str, str]:
    form = {"name": "Shop", "enabled": "on", "when_uncertain": "ask", "attributes": "{}"}
    return {**form, "closed_starts_chat": "on", "default_language": "en", "queue_delay_minutes": "3", **others}


def page_of(account: ChannelAccount) -> str:
    return reverse("admin:channels_app_channelaccount_change", args=[account.pk])


@pytest.fixture
def account(db: None) -> ChannelAccount:
    return save_account("twitter", "Shop", CONFIG, by="ana")


def staff(*permissions: str) -> Client:
    user = User.objects.create_user("ops", password="a long enough password", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def test_adding_leads_to_the_set_up(admin_client: Client) -> None:
    assert admin_client.get(ADD).headers["Location"] == "/admin/channels/add/"


def test_the_page_shows_the_webhook_url_and_the_verify_token_to_copy(admin_client: Client, settings) -> None:
    settings.PUBLIC_BASE_URL = "https://parley.example.com"
    account = save_account("messenger", "Page", {**CREDENTIALS["messenger"], "verify_token": ""})

    page = admin_client.get(page_of(account)).content.decode()

    assert f"https://parley.example.com/webhooks/messenger/{account.pk}/" in page
    assert len(account.credentials["verify_token"]) >= 32
    assert f">{account.credentials['verify_token']}</code>" in page


def test_no_page_shows_a_stored_secret(admin_client: Client, account: ChannelAccount) -> None:
    page = admin_client.get(page_of(account)).content.decode()

    assert "CANARY" not in page
    assert re.search(r"•••• cret · set \d+ \w+ \d{4} by <bdi>ana</bdi>", page)
    assert f"/admin/channels/{account.pk}/credentials/#id_credential_consumer_secret" in page


def test_what_is_changed_is_in_the_history_with_the_reason(admin_client: Client, account: ChannelAccount) -> None:
    admin_client.post(page_of(account), filled(name="New name", change_reason="it moved"))

    account.refresh_from_db()
    row = account.history.first()
    assert account.name == "New name"
    assert account.credentials == CONFIG
    assert row.differs == {"name": ["Shop", "New name"]}
    assert (row.history_user_id, row.history_change_reason) == ("admin", "it moved")
    shown = admin_client.get(reverse("admin:channels_app_channelaccount_history", args=[account.pk])).content.decode()
    assert "it moved" in shown
    assert "CANARY" not in shown


@pytest.mark.parametrize("attributes", ['["a"]', '{"a b": "c"}', '{"a": 1}', '{"a": "%s"}' % ("x" * 33_000)])
def test_attributes_that_connect_would_refuse_are_refused(
    admin_client: Client, account: ChannelAccount, attributes: str
) -> None:
    page = admin_client.post(page_of(account), filled(attributes=attributes)).content.decode()

    account.refresh_from_db()
    assert "errorlist" in page
    assert account.attributes == {}


def test_who_may_only_look_sees_no_credentials_at_all(account: ChannelAccount) -> None:
    page = staff("view_channelaccount").get(page_of(account)).content.decode()

    assert "1000000001" in page
    assert "credential_" not in page
    assert "p-code" not in page


def test_who_may_only_look_changes_nothing(account: ChannelAccount) -> None:
    answer = staff("view_channelaccount").post(page_of(account), filled(name="Mine"))

    assert answer.status_code == 403
    account.refresh_from_db()
    assert account.name == "Shop"


def test_only_an_unused_account_can_be_deleted(admin_client: Client, account: ChannelAccount) -> None:
    delete = reverse("admin:channels_app_channelaccount_delete", args=[account.pk])
    delivery = WebhookDeliveryFactory(account=account)

    assert admin_client.post(delete, {"post": "yes"}).status_code == 403
    delivery.delete()
    assert admin_client.post(delete, {"post": "yes"}).status_code == 302
    assert not ChannelAccount.objects.exists()


def test_an_account_of_a_channel_that_is_gone_can_be_looked_at(admin_client: Client) -> None:
    account = ChannelAccountFactory(kind="icq", credentials={"uin": "1"}, address="1")

    assert "no such channel any more" in admin_client.get(page_of(account)).content.decode()


def delivery_page(admin_client: Client, **fields) -> str:
    delivery = WebhookDeliveryFactory(**fields)
    return admin_client.get(reverse("admin:channels_app_webhookdelivery_change", args=[delivery.pk])).content.decode()


def test_a_raw_body_is_shown_decoded_and_harmless(admin_client: Client) -> None:
    page = delivery_page(admin_client, body='{"text": "<img src=x onerror=alert(1)> ñ"}'.encode())

    assert "&lt;img src=x onerror=alert(1)&gt; ñ" in page
    assert "<img src=x" not in page


def test_bytes_that_are_no_text_are_shown_all_the_same(admin_client: Client) -> None:
    assert "\ufffd\ufffd{" in delivery_page(admin_client, body=b"\xff\xfe{")


def test_a_huge_body_is_cut(admin_client: Client) -> None:
    page = delivery_page(admin_client, body=b"x" * 3_000_000)

    assert "… and 2,980,000 more characters" in page
    assert len(page) < 100_000


def test_headers_and_parameters_that_prove_the_sender_are_hidden(admin_client: Client) -> None:
    headers = {"x-telegram-bot-api-secret-token": "CANARY", "x-hub-signature-256": "CANARY", "user-agent": "facebook"}

    page = delivery_page(admin_client, headers=headers, query="hub.verify_token=CANARY&page=7")

    assert "CANARY" not in page
    assert "facebook" in page
    assert "page=7" in page


def test_a_delivery_lists_its_entries_up_to_a_limit(admin_client: Client) -> None:
    delivery = WebhookDeliveryFactory()
    InboundEntryFactory.create_batch(101, delivery=delivery)

    page = admin_client.get(reverse("admin:channels_app_webhookdelivery_change", args=[delivery.pk])).content.decode()

    assert len(re.findall(r"/inboundentry/\d+/change/", page)) == 100
    assert f"inboundentry/?delivery__id__exact={delivery.pk}" in page


def test_a_delivery_is_found_by_the_providers_key_of_its_event(admin_client: Client) -> None:
    expected = InboundEntryFactory(key="mid.$cAAB")
    InboundEntryFactory()

    result = admin_client.get("/admin/channels_app/webhookdelivery/", {"q": " mid.$cAAB "}).content.decode()

    assert str(expected.delivery.pk) in result
    assert "1 webhook delivery" in " ".join(result.split())


@pytest.mark.parametrize("search", ["\x00", "%", "'; --", "9" * 40, "a\"b'", "x" * 3000])
def test_an_odd_search_finds_nothing_and_breaks_nothing(admin_client: Client, search: str) -> None:
    InboundEntryFactory()

    for name in ("channelaccount", "webhookdelivery", "inboundentry", "channellog"):
        assert admin_client.get(f"/admin/channels_app/{name}/", {"q": search}).status_code == 200


@pytest.mark.parametrize("query", ["account=x", "kind=x", "state__exact=x", "received_at__gte=x", "p=1000000", "o=x"])
def test_an_odd_filter_breaks_nothing(admin_client: Client, query: str) -> None:
    WebhookDeliveryFactory()

    assert admin_client.get(f"/admin/channels_app/webhookdelivery/?{query}").status_code in (200, 302, 400)


@pytest.mark.parametrize(
    "query", ["account__credentials__startswith=a", "account__former_credentials__isnull=1", "account__name__gt=A"]
)
def test_nobody_feels_out_credentials_by_filtering(admin_client: Client, query: str) -> None:
    assert admin_client.get(f"/admin/channels_app/webhookdelivery/?{query}").status_code == 400


def test_deliveries_are_filtered_by_account_and_state(admin_client: Client) -> None:
    expected = WebhookDeliveryFactory(state=WebhookDelivery.State.QUARANTINED)
    WebhookDeliveryFactory(account=expected.account)
    WebhookDeliveryFactory(state=WebhookDelivery.State.QUARANTINED)

    result = admin_client.get(
        "/admin/channels_app/webhookdelivery/", {"account": str(expected.account.pk), "state__exact": "quarantined"}
    ).content.decode()

    assert "1 webhook delivery" in " ".join(result.split())
    assert str(expected.pk) in result


def test_a_call_to_a_provider_is_shown_with_its_time(admin_client: Client) -> None:
    ChannelLogFactory(seconds=0.0421, path="/v26.0/1/messages")

    page = admin_client.get("/admin/channels_app/channellog/").content.decode()

    assert "/v26.0/1/messages" in page
    assert ">42<" in page
