from __future__ import annotations

import base64
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from connect_bridge.api.views import VIEWS
from connect_bridge.models import Message, OutboxEntry
from people.tokens import make_token
from tests.factories import (
    ChannelAccountFactory,
    ContactFactory,
    ConversationFactory,
    MessageFactory,
    OutboxEntryFactory,
    WebhookDeliveryFactory,
)

pytestmark = pytest.mark.django_db

#: A well-formed id that no row has; the same in every worker, or they would not agree on the tests that there are.
NOBODY = "0e4f2a11-0000-4000-8000-000000000000"


def one_of_each() -> None:
    account = ChannelAccountFactory(credentials={"app_secret": "CANARY"}, former_credentials={"app_secret": "CANARY"})
    conversation = ConversationFactory(account=account)
    contact = ContactFactory(conversation=conversation, participant_token="CANARY", connection_token="CANARY")
    outbound = MessageFactory(conversation=conversation, contact=contact, direction="out", original={"a": "CANARY"})
    OutboxEntryFactory(message=outbound)
    WebhookDeliveryFactory(account=account, body=b"CANARY", headers={"x-signature": "CANARY"}, query="t=CANARY")


@pytest.fixture
def api(admin_client: Client) -> Client:
    return admin_client


def rows(api: Client, name: str, **parameters: object) -> list[dict]:
    answer = api.get(f"/api/v1/{name}/", parameters)
    assert answer.status_code == 200, answer.content
    return answer.json()["results"]


@pytest.mark.parametrize("name", VIEWS)
def test_a_row_is_listed_and_given_by_its_id(api: Client, name: str) -> None:
    one_of_each()

    (row,) = rows(api, name)
    assert api.get(f"/api/v1/{name}/{row['id']}/").json() == row


@pytest.mark.parametrize("name", VIEWS)
def test_no_secret_token_or_raw_byte_is_told(api: Client, name: str) -> None:
    one_of_each()

    assert b"CANARY" not in api.get(f"/api/v1/{name}/").content


@pytest.mark.parametrize("name", VIEWS)
def test_71_nothing_can_be_written(api: Client, name: str) -> None:
    one_of_each()
    (row,) = rows(api, name)

    for method in (api.put, api.patch, api.delete):
        assert method(f"/api/v1/{name}/{row['id']}/").status_code == 405
    assert api.post(f"/api/v1/{name}/").status_code == 405


@pytest.mark.parametrize("name", VIEWS)
def test_a_list_asks_the_database_as_often_for_many_rows_as_for_one(
    api: Client, django_assert_num_queries, name: str
) -> None:
    one_of_each()
    with CaptureQueriesContext(connection) as few:
        api.get(f"/api/v1/{name}/")
    for _ in range(4):
        one_of_each()

    with django_assert_num_queries(len(few)):
        api.get(f"/api/v1/{name}/")
    assert len(few) == (4 if name == "messages" else 3)  # session, user, rows; who read them is written down


@pytest.mark.parametrize(
    "parameter",
    ["channel__secret__startswith", "credentials", "account__credentials", "page", "limit", "ordering", "format"],
)
@pytest.mark.parametrize("name", VIEWS)
def test_72_an_unknown_parameter_is_refused_by_name(api: Client, name: str, parameter: str) -> None:
    answer = api.get(f"/api/v1/{name}/", {parameter: "a"})

    assert answer.status_code == 400
    assert "Unknown parameter" in answer.json()[parameter][0]


def test_a_single_row_takes_no_parameter(api: Client) -> None:
    account = ChannelAccountFactory()

    assert api.get(f"/api/v1/accounts/{account.pk}/?kind=twitter").status_code == 400


@pytest.mark.parametrize("value", ["\x00", "no-uuid", NOBODY])
def test_73_a_value_that_names_no_conversation_is_refused(api: Client, value: str) -> None:
    assert api.get("/api/v1/messages/", {"conversation": value}).status_code == 400


@pytest.mark.parametrize("key", ["no-uuid", NOBODY, "%00"])
def test_a_row_that_is_not_there_is_not_found(api: Client, key: str) -> None:
    assert api.get(f"/api/v1/messages/{key}/").status_code == 404


def test_messages_are_filtered_by_conversation_and_status(api: Client) -> None:
    expected = MessageFactory(status=Message.Status.RELAYED)
    MessageFactory(conversation=expected.conversation)
    MessageFactory(status=Message.Status.RELAYED)

    listed = rows(api, "messages", conversation=expected.conversation.pk, status="relayed")

    assert [row["id"] for row in listed] == [str(expected.pk)]


def test_conversations_are_filtered_by_customer(api: Client) -> None:
    expected = ConversationFactory()
    ConversationFactory()

    listed = rows(api, "conversations", customer=expected.identity.customer.pk)

    assert [row["id"] for row in listed] == [str(expected.pk)]


def test_the_dead_of_the_outbox_are_found(api: Client) -> None:
    expected = OutboxEntryFactory(state=OutboxEntry.State.DEAD, error_detail="24 h are over")
    OutboxEntryFactory()

    (listed,) = rows(api, "outbox", state="dead")

    assert (listed["id"], listed["error_detail"]) == (str(expected.pk), "24 h are over")


def test_pages_follow_one_another_without_gap_or_repeat(api: Client) -> None:
    conversation = ConversationFactory()
    moment = conversation.created_at
    MessageFactory.create_batch(7, conversation=conversation, created_at=moment)  # one flight: the same instant
    seen: list[int] = []

    address = "/api/v1/messages/?page_size=3"
    while address:
        page = api.get(address).json()
        seen += [row["sequence"] for row in page["results"]]
        address = page["next"]

    assert sorted(seen) == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("position", ["p=no-date", "p=\x00", "o=-1", "o=x", "p=1e999&r=1", "o=99999999999999999999"])
def test_74_an_altered_cursor_is_unknown(api: Client, position: str) -> None:
    MessageFactory.create_batch(2)
    cursor = base64.b64encode(position.encode()).decode()

    assert api.get("/api/v1/messages/?" + urlencode({"cursor": cursor})).status_code in (200, 404)


def test_an_api_token_opens_the_api(admin_user: User) -> None:
    key = make_token(admin_user, "a machine", by="a test", proven=False)

    assert Client().get("/api/v1/accounts/", headers={"authorization": f"Token {key}"}).status_code == 200


@pytest.mark.parametrize("name", VIEWS)
def test_a_stranger_is_asked_who_they_are(name: str) -> None:
    assert Client().get(f"/api/v1/{name}/").status_code == 401


@pytest.mark.parametrize("name", VIEWS)
def test_staff_see_only_what_they_may_view(name: str) -> None:
    user = User.objects.create_user("ops", is_staff=True)
    client = Client()
    client.force_login(user)
    assert client.get(f"/api/v1/{name}/").status_code == 403

    model = VIEWS[name].queryset.model._meta.model_name
    user.user_permissions.set(Permission.objects.filter(codename=f"view_{model}"))
    assert client.get(f"/api/v1/{name}/").status_code == 200


def test_a_permitted_user_who_is_no_staff_sees_nothing() -> None:
    user = User.objects.create_superuser("root")
    user.is_staff = False
    user.save()
    client = Client()
    client.force_login(user)

    assert client.get("/api/v1/messages/").status_code == 403


def test_the_schema_names_every_list_and_no_credential(admin_client: Client) -> None:
    schema = admin_client.get("/api/schema/").content.decode()

    assert all(f"/api/v1/{name}/:" in schema for name in VIEWS)
    assert "credentials" not in schema
    assert "participant_token" not in schema


def test_the_docs_load_nothing_from_elsewhere(admin_client: Client) -> None:
    page = admin_client.get("/api/docs/").content.decode()

    assert "swagger" in page
    assert "//cdn" not in page
    assert 'src="http' not in page
    assert 'href="http' not in page
