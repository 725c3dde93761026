from __future__ import annotations

import pytest
from django.test import Client

from channels_app.accounts.opening_hours import DAYS
from channels_app.models import AutoReply, BusinessHours, ChannelAccount, Holiday, RoutingRule
from tests.factories import ChannelAccountFactory

pytestmark = pytest.mark.django_db
ADD = "/admin/channels_app/businesshours/add/"
NO_HOLIDAYS = {"holidays-TOTAL_FORMS": "0", "holidays-INITIAL_FORMS": "0"}


def week(**spans: str) -> dict[str, str]:
    return {**dict.fromkeys(DAYS, ""), **spans}


def test_a_week_and_its_holidays_are_typed_as_people_write_them(admin_client: Client) -> None:
    holiday = {
        "holidays-TOTAL_FORMS": "1",
        "holidays-INITIAL_FORMS": "0",
        "holidays-0-day": "2026-12-24",
        "holidays-0-name": "Christmas Eve",
        "holidays-0-spans": "9:00-12:00",
    }

    answer = admin_client.post(
        ADD, {"name": "Office", "zone": "Europe/Madrid", **week(monday="9:00-12:30, 13:30-18:00"), **holiday}
    )

    assert answer.status_code == 302
    hours = BusinessHours.objects.get()
    assert hours.week == {"monday": [["09:00", "12:30"], ["13:30", "18:00"]]}
    assert Holiday.objects.get().spans == [["09:00", "12:00"]]
    page = admin_client.get(f"/admin/channels_app/businesshours/{hours.pk}/change/").content.decode()
    assert "09:00-12:30, 13:30-18:00" in page
    assert "09:00-12:00" in page


def test_what_is_no_span_is_said_at_its_day(admin_client: Client) -> None:
    answer = admin_client.post(ADD, {"name": "Office", "zone": "UTC", **week(friday="nine to five"), **NO_HOLIDAYS})

    assert "write 09:00-17:30" in answer.content.decode()
    assert not BusinessHours.objects.exists()


def test_the_list_says_what_is_now_and_next(admin_client: Client) -> None:
    BusinessHours.objects.create(name="Never", zone="UTC", week={})
    BusinessHours.objects.create(name="Always", zone="Asia/Tokyo", week={day: [["00:00", "24:00"]] for day in DAYS})

    page = admin_client.get("/admin/channels_app/businesshours/").content.decode()

    assert "Closed. It never changes." in page
    assert "Open now; closes" in page


def test_an_account_takes_hours_in_its_step_and_says_when_it_opens(admin_client: Client) -> None:
    account, hours = ChannelAccountFactory(), BusinessHours.objects.create(name="Never", zone="UTC", week={})
    url = f"/admin/channels/{account.pk}/hours/"
    form = {"hours": hours.pk, "default_language": "es", "queue_delay_minutes": 5, "when_uncertain": "ask"}

    admin_client.post(url, form)

    account.refresh_from_db()
    assert (account.hours, account.closed_starts_chat) == (hours, False)
    assert "Closed. It never changes." in admin_client.get(url).content.decode()


def test_hours_that_an_account_has_are_not_deleted_under_it(admin_client: Client) -> None:
    hours = BusinessHours.objects.create(name="Office", zone="UTC", week={})
    ChannelAccountFactory(hours=hours)

    admin_client.post(f"/admin/channels_app/businesshours/{hours.pk}/delete/", {"post": "yes"})

    assert BusinessHours.objects.exists()


def test_a_rule_needs_a_word_and_takes_attributes_that_connect_takes(admin_client: Client) -> None:
    account = ChannelAccountFactory()
    form = {"account": account.pk, "position": 1, "words": " return ,, send back ", "enabled": "on"}
    url = "/admin/channels_app/routingrule/add/"

    refused = admin_client.post(url, {**form, "attributes": '{"a b": "c"}'}).content.decode()
    empty = admin_client.post(url, {**form, "words": " , ", "attributes": "{}"}).content.decode()
    admin_client.post(url, {**form, "attributes": '{"topic": "returns"}'})

    assert "letters, digits" in refused
    assert "at least one word" in empty
    assert RoutingRule.objects.get().words == "return, send back"


def test_the_route_step_shows_what_a_message_would_start(admin_client: Client, settings) -> None:
    settings.CONNECT_INSTANCE_ID, settings.CONNECT_CONTACT_FLOW_ID = "instance", "flow"
    account = ChannelAccountFactory(kind="whatsapp", attributes={"brand": "acme"})
    RoutingRule.objects.create(
        account=account, words="return", connect_contact_flow_id="returns", attributes={"topic": "returns"}
    )
    AutoReply.objects.create(account=account, occasion="greeting", language="es", text="¡Hola!")
    url = f"/admin/channels/{account.pk}/route/"

    page = admin_client.get(url, {"say": "How do I RETURN this <b>?", "language": "es_MX"}).content.decode()

    for shown in ("The rule <strong>return</strong> decides", "¡Hola!", "&quot;topic&quot;: &quot;returns&quot;"):
        assert shown in page
    assert "&quot;ContactFlowId&quot;: &quot;returns&quot;" in page
    assert "RETURN this &lt;b&gt;?" in page
    assert "<b>?" not in page


def test_the_route_step_says_why_no_chat_would_start(admin_client: Client, settings) -> None:
    settings.CONNECT_INSTANCE_ID = settings.CONNECT_CONTACT_FLOW_ID = ""
    account = ChannelAccountFactory(kind="whatsapp", connect_instance_id="", connect_contact_flow_id="")
    url = f"/admin/channels/{account.pk}/route/"

    nowhere = admin_client.get(url, {"say": "Hello"}).content.decode()
    hours = BusinessHours.objects.create(name="Never", zone="UTC", week={})
    ChannelAccount.objects.update(hours=hours, closed_starts_chat=False)
    AutoReply.objects.create(account=account, occasion="closed", text="We are closed.")
    closed = admin_client.get(url, {"say": "Hello"}).content.decode()

    assert "no instance or no flow" in nowhere
    assert "the message waits" in closed
    assert "We are closed." in closed
