"""Connect's contact events: any order tells the same, only chats of ours count, only who knows the token may tell."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from moto.server import ThreadedMotoServer

from analytics.connect_events.events import EventOutcome, parse_event, store_event
from analytics.connect_events.sqs import drain
from analytics.models import ChatFact, ContactDetail
from analytics.rollups.update import refresh
from connect_bridge import aws
from tests.factories import ContactFactory

pytestmark = pytest.mark.django_db

START = datetime(2026, 5, 4, 9, tzinfo=UTC)
QUEUE = "arn:aws:connect:eu-west-2:1:instance/i-1/queue/"
AGENT = "arn:aws:connect:eu-west-2:1:instance/i-1/agent/"
URL = "/connect/contact-events/"


@pytest.fixture(autouse=True)
def _no_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every question for a name fail at once: nobody answers there."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_CONNECT", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    aws.forget_clients()


def event(kind: str, at: datetime, **detail: Any) -> bytes:
    """Write an event as the administrator guide shows it, with fields that we do not read."""
    common = {"eventType": kind, "contactId": "c-2", "initialContactId": "c-1", "channel": "CHAT", "tags": {"x": 1}}
    body = {"version": "0", "source": "aws.connect", "detail-type": "Amazon Connect Contact Event", "time": stamp(at)}
    return json.dumps({**body, "detail": {**common, "initiationMethod": "API", **detail}}).encode()


def stamp(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def story() -> list[bytes]:
    def after(minutes: int) -> datetime:
        return START + timedelta(minutes=minutes)

    return [
        event("INITIATED", after(0)),
        event("QUEUED", after(1), queueInfo={"queueArn": f"{QUEUE}q-1", "enqueueTimestamp": stamp(after(1))}),
        event("QUEUED", after(3), queueInfo={"queueArn": f"{QUEUE}q-2", "enqueueTimestamp": stamp(after(3))}),
        event(
            "CONNECTED_TO_AGENT",
            after(5),
            agentInfo={"agentArn": f"{AGENT}a-1", "connectedToAgentTimestamp": stamp(after(5))},
        ),
        event("COMPLETED", after(20), disconnectTimestamp=stamp(after(18)), disconnectReason="AGENT_DISCONNECT"),
    ]


def test_any_order_of_the_same_events_tells_the_same() -> None:
    rows = set()
    for order in itertools.islice(itertools.permutations(story()), 0, 120, 7):
        contact = ContactFactory(initial_contact_id="c-1", contact_id="c-1")
        for raw in (*order, order[0]):
            assert store_event(parse_event(raw)) is EventOutcome.STORED
        detail = ContactDetail.objects.get(contact=contact)
        rows.add((detail.queue, detail.queued_at, detail.agent, detail.agent_at, detail.completed_at, detail.reason))
        contact.delete()
    after = [START + timedelta(minutes=minutes) for minutes in (1, 5, 20)]
    assert rows == {("q-2", after[0], "a-1", after[1], after[2], "AGENT_DISCONNECT")}


def test_numbers_follow_what_the_events_tell() -> None:
    contact = ContactFactory(
        initial_contact_id="c-1", requested_at=START, state="ended", ended_at=START + timedelta(minutes=18)
    )
    refresh()
    for raw in story():
        store_event(parse_event(raw))
    refresh()
    fact = ChatFact.objects.get(pk=contact.pk)
    assert (fact.queue, fact.agent, fact.outcome, fact.handle_ms) == ("q-2", "a-1", "handled", 15 * 60_000)


def test_what_is_not_a_chat_of_ours_is_ignored() -> None:
    assert store_event(parse_event(event("QUEUED", START, channel="VOICE"))) is EventOutcome.IGNORED
    assert store_event(parse_event(event("QUEUED", START))) is EventOutcome.IGNORED


def test_a_chat_that_may_be_stored_in_a_moment_is_to_be_offered_again() -> None:
    assert store_event(parse_event(event("INITIATED", datetime.now(UTC)))) is EventOutcome.LATER


@pytest.mark.parametrize(
    ("token", "body", "status"),
    [
        ("right", story()[1], 200),
        ("wrong", story()[1], 401),
        ("", story()[1], 401),
        ("right", b"no json", 400),
        ("right", b'{"detail": {"eventType": 7}}', 400),
        ("right", b"[]", 400),
        ("right", event("INITIATED", datetime.now(UTC), initialContactId="another", contactId="another"), 503),
    ],
)
def test_the_endpoint_takes_events_from_who_knows_the_token(
    settings: Any, token: str, body: bytes, status: int
) -> None:
    settings.CONTACT_EVENTS_TOKEN = "right"
    ContactFactory(initial_contact_id="c-1")
    answer = Client().post(URL, body, content_type="application/json", headers={"X-Parley-Token": token})
    assert answer.status_code == status
    assert ContactDetail.objects.exists() == (status == 200)


def test_without_a_token_there_is_no_endpoint() -> None:
    assert Client().post(URL, b"{}", content_type="application/json").status_code == 404


def test_events_come_out_of_a_queue_too(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", f"http://{host}:{port}")
        aws.forget_clients()
        sqs: Any = aws.shared_client("sqs")
        settings.CONTACT_EVENTS_QUEUE_URL = sqs.create_queue(QueueName="events")["QueueUrl"]
        contact = ContactFactory(initial_contact_id="c-1")
        for raw in (*story(), b"something else"):
            sqs.send_message(QueueUrl=settings.CONTACT_EVENTS_QUEUE_URL, MessageBody=raw.decode())
        drain()
        assert ContactDetail.objects.get(contact=contact).queue == "q-2"
        left = sqs.get_queue_attributes(QueueUrl=settings.CONTACT_EVENTS_QUEUE_URL, AttributeNames=["All"])
        assert left["Attributes"]["ApproximateNumberOfMessages"] == "0"
    finally:
        server.stop()
        aws.forget_clients()
