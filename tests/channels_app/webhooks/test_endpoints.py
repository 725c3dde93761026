"""What each endpoint has of its own: the ASGI one's group commit and distance from Django, the switches of both."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import asgiref.sync
import psycopg
import pytest
from asgiref.sync import async_to_sync
from django.db import OperationalError
from pytest_django.fixtures import Settings

from channels_app.models import ChannelAccount, InboundEntry, WebhookDelivery
from channels_app.webhooks import asgi as asgi_module
from channels_app.webhooks.asgi import WebhookASGI
from channels_app.webhooks.store import store_batch
from tests.channels_app.webhooks.kit import (
    COMMITTED,
    DJANGO,
    Post,
    Reply,
    ask,
    deliver,
    deliveries,
    entries,
    message_post,
    page_post,
    path_of,
)
from tests.factories import ChannelAccountFactory

pytestmark = COMMITTED

#: Headers that are the product's own; Django adds some of its own.
OURS = (
    "content-type",
    "content-length",
    "x-request-id",
    "x-parley-status",
    "x-content-type-options",
    "cache-control",
    "allow",
)
GET_CHALLENGE = "hub.mode=subscribe&hub.verify_token=verify-token&hub.challenge=55"


@pytest.fixture
def account() -> ChannelAccount:
    made: ChannelAccount = ChannelAccountFactory.create(kind="messenger", address="424242")
    return made


async def nobody(*_: Any) -> None:
    raise AssertionError("Django was asked")


def at_once(*posts: Post, change: Any = None) -> list[Reply]:
    """Send webhooks to one ASGI endpoint concurrently; `change` may tamper with the endpoint first."""

    async def through() -> list[Reply]:
        endpoint = WebhookASGI(nobody)
        if change:
            change(endpoint)
        try:
            return await asyncio.gather(*(ask(endpoint, post) for post in posts))
        finally:
            await endpoint.close()

    return async_to_sync(through)()


def test_fifty_identical_webhooks_at_once_are_one_entry(account: ChannelAccount) -> None:
    answers = [reply.word for reply in at_once(*[message_post(account)] * 50)]
    assert sorted(answers) == ["accepted"] + ["duplicate"] * 49
    assert len(entries(account)) == 1
    assert sorted(deliveries(account)) == sorted(answers)


def test_webhooks_that_bring_the_same_events_in_opposite_order_do_not_block_each_other(account: ChannelAccount) -> None:
    """A deadlock would be repeated, and go unnoticed but for the second that it takes: so the batches are counted."""
    messages = [{"mid": f"m_{index}"} for index in range(2_000)]
    posts = page_post(account, *messages), page_post(account, *reversed(messages))
    batches: list[int] = []

    async def counted(connection: Any, batch: Any) -> list[str]:
        batches.append(len(batch))
        return await store_batch(connection, batch)

    async def through() -> None:
        endpoint = WebhookASGI(nobody)
        endpoint._writes.run_batch, endpoint._writes.most = counted, 1
        async with await psycopg.AsyncConnection.connect(**endpoint._writes.parameters) as gate:
            await gate.execute("LOCK TABLE channels_app_inboundentry IN SHARE MODE")
            asked = [asyncio.create_task(ask(endpoint, post)) for post in posts]
            await asyncio.sleep(1)  # both have come to the gate; they start together when it opens
        await asyncio.gather(*asked)
        await endpoint.close()

    async_to_sync(through)()
    assert batches == [1, 1]
    assert len(entries(account)) == 2_000


def test_many_webhooks_share_a_batch_and_each_gets_its_own_answer(account: ChannelAccount) -> None:
    batches: list[int] = []

    async def counted(connection: Any, batch: Any) -> list[str]:
        batches.append(len(batch))
        return await store_batch(connection, batch)

    def count(endpoint: WebhookASGI) -> None:
        endpoint._writes.run_batch = counted

    mids = [f"m_{index % 150}" for index in range(200)]
    posts = [page_post(account, {"mid": mid}) for mid in mids]
    answers = [
        reply.word for reply in at_once(*posts, change=lambda endpoint: setattr(endpoint._writes, "run_batch", counted))
    ]
    assert {mid for mid, word in zip(mids, answers, strict=True) if word == "accepted"} == set(mids)
    assert sorted(answers) == ["accepted"] * 150 + ["duplicate"] * 50
    assert len(batches) < 20


def test_a_poisoned_webhook_in_a_batch_fails_alone(account: ChannelAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channels_app.webhooks.intake._LONGEST_KEY", 10_000)
    monkeypatch.setattr("channels_app.toolkit.payloads.LONGEST_ID", 10_000)
    posts = [page_post(account, {"mid": f"m_{index}"}) for index in range(20)]
    posts[7] = page_post(account, {"mid": "x" * 300})
    answers = [reply.word for reply in at_once(*posts)]
    assert answers == ["accepted"] * 7 + ["quarantined"] + ["accepted"] * 12
    assert len(entries(account)) == 19


def test_a_webhook_is_not_answered_before_its_commit(account: ChannelAccount) -> None:
    """While another connection holds the table, the commit cannot happen: so there must be no answer either."""

    async def through() -> None:
        endpoint = WebhookASGI(nobody)
        holder = await psycopg.AsyncConnection.connect(**asgi_module.connect_parameters())
        await holder.execute("LOCK TABLE channels_app_webhookdelivery IN EXCLUSIVE MODE")
        asked = asyncio.create_task(ask(endpoint, message_post(account)))
        done, _ = await asyncio.wait([asked], timeout=0.5)
        assert not done
        await holder.rollback()
        assert (await asked).word == "accepted"
        await holder.close()
        await endpoint.close()

    async_to_sync(through)()


def test_the_provider_is_told_to_come_again_when_the_database_takes_too_long(
    account: ChannelAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asgi_module, "DATABASE_TIMEOUT", 0.3)

    async def through() -> Reply:
        endpoint = WebhookASGI(nobody)
        holder = await psycopg.AsyncConnection.connect(**asgi_module.connect_parameters())
        await holder.execute("LOCK TABLE channels_app_webhookdelivery IN EXCLUSIVE MODE")
        try:
            return await asyncio.wait_for(ask(endpoint, message_post(account)), 30)
        finally:
            await holder.close()
            await endpoint.close()

    reply = async_to_sync(through)()
    assert (reply.status, reply.word) == (503, "unavailable")


def test_without_a_database_the_asgi_endpoint_answers_503_and_works_again_when_it_is_back(
    account: ChannelAccount,
) -> None:
    async def through() -> list[Reply]:
        endpoint = WebhookASGI(nobody)
        good = endpoint._writes.parameters, endpoint._look_ups.parameters
        endpoint._writes.parameters = endpoint._look_ups.parameters = {**good[0], "host": "127.0.0.1", "port": 1}
        away = await ask(endpoint, message_post(account))
        endpoint._writes.parameters, endpoint._look_ups.parameters = good
        back = await ask(endpoint, message_post(account))
        await endpoint.close()
        return [away, back]

    away, back = async_to_sync(through)()
    assert (away.status, away.word) == (503, "unavailable")
    assert int(away.headers["retry-after"]) > 0
    assert back.word == "accepted"


def test_without_a_database_the_django_endpoint_answers_503(
    account: ChannelAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr("channels_app.webhooks.views.store", away)
    [reply] = deliver("django", message_post(account))
    assert (reply.status, reply.word) == (503, "unavailable")
    assert deliveries(account) == []


def test_connections_that_died_while_idle_cost_no_webhook(account: ChannelAccount) -> None:
    """A restarted PostgreSQL has closed every connection; Twilio would not send again after a 503."""

    async def through() -> Reply:
        endpoint = WebhookASGI(nobody)
        await asyncio.gather(*(ask(endpoint, page_post(account, {"mid": f"m_{index}"})) for index in range(5)))
        endpoint._account_cache._known.clear()
        async with await psycopg.AsyncConnection.connect(**endpoint._writes.parameters, autocommit=True) as other:
            await other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid = ANY(%s)",
                [[one.info.backend_pid for one in (*endpoint._writes._idle, *endpoint._look_ups._idle)]],
            )
        reply = await ask(endpoint, page_post(account, {"mid": "m_after"}))
        await endpoint.close()
        return reply

    assert async_to_sync(through)().word == "accepted"


def test_storing_the_same_batch_again_changes_nothing(account: ChannelAccount) -> None:
    async def twice(connection: Any, batch: Any) -> list[str]:
        await store_batch(connection, batch)
        return await store_batch(connection, batch)

    at_once(message_post(account), change=lambda endpoint: setattr(endpoint._writes, "run_batch", twice))
    assert (WebhookDelivery.objects.count(), InboundEntry.objects.count()) == (1, 1)


def test_the_asgi_endpoint_never_leaves_its_thread(account: ChannelAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: Any, **__: Any) -> None:
        raise AssertionError("a hop to another thread")

    monkeypatch.setattr(asgiref.sync.SyncToAsync, "__call__", forbidden)
    monkeypatch.setattr(asyncio.BaseEventLoop, "run_in_executor", forbidden)
    answers = at_once(message_post(account), page_post(account, {"mid": "m_other"}))
    assert [reply.word for reply in answers] == ["accepted", "accepted"]


def test_the_asgi_endpoint_hands_on_what_is_not_a_posted_webhook(account: ChannelAccount) -> None:
    handed: list[str] = []

    async def inner(scope: Any, *_: Any) -> None:
        handed.append(scope.get("path", scope["type"]))

    async def through() -> None:
        endpoint = WebhookASGI(inner)
        await endpoint(Post(path_of(account), method="GET").scope, None, None)  # type: ignore[arg-type]
        await endpoint(Post("/admin/").scope, None, None)  # type: ignore[arg-type]
        await endpoint({"type": "lifespan"}, None, None)  # type: ignore[arg-type]

    async_to_sync(through)()
    assert handed == [path_of(account), "/admin/", "lifespan"]


def test_a_provider_that_hangs_up_half_way_leaves_nothing(account: ChannelAccount) -> None:
    async def through() -> list[Any]:
        endpoint, said = WebhookASGI(nobody), []
        messages = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]

        async def receive() -> dict[str, Any]:
            return messages.pop(0)

        async def send(message: Any) -> None:
            said.append(message)

        await endpoint(message_post(account).scope, receive, send)
        await endpoint.close()
        return said

    assert async_to_sync(through)() == []
    assert deliveries(account) == []


def test_a_disabled_account_is_refused_and_a_new_one_taken_within_a_moment(account: ChannelAccount) -> None:
    clock = [0.0]

    def tick(seconds: float) -> None:
        clock[0] += seconds

    async def through() -> list[str]:
        endpoint = WebhookASGI(nobody)
        endpoint._account_cache.clock = lambda: clock[0]
        words = [(await ask(endpoint, message_post(account))).word]
        for enabled, wait in ((False, 1.1), (True, 0.3)):
            await ChannelAccount.objects.filter(id=account.id).aupdate(enabled=enabled)
            tick(wait)
            words.append((await ask(endpoint, message_post(account))).word)
        await endpoint.close()
        return words

    assert async_to_sync(through)() == ["accepted", "not_found", "duplicate"]


def test_a_known_account_is_not_looked_up_again_within_a_second(account: ChannelAccount) -> None:
    looked: list[int] = []

    def watch(endpoint: WebhookASGI) -> None:
        look_up = endpoint._look_ups.run_batch

        async def counted(connection: Any, ids: Any) -> Any:
            looked.append(len(ids))
            return await look_up(connection, ids)

        endpoint._look_ups.run_batch = counted

    async def through() -> None:
        endpoint = WebhookASGI(nobody)
        watch(endpoint)
        for _ in range(5):
            await ask(endpoint, message_post(account))
        await endpoint.close()

    async_to_sync(through)()
    assert looked == [1]


def test_with_the_django_endpoint_off_handshakes_still_work_and_posts_do_not(
    account: ChannelAccount, settings: Settings
) -> None:
    settings.WEBHOOK_DJANGO_LANE = False
    posted, asked = deliver("django", message_post(account), Post(path_of(account), query=GET_CHALLENGE, method="GET"))
    assert (posted.status, posted.word) == (404, "not_found")
    assert (asked.status, asked.body) == (200, b"55")


def test_both_endpoints_answer_to_the_letter_alike(account: ChannelAccount) -> None:
    good = message_post(account)
    posts = [
        good,
        good,
        replace(good, headers=good.headers[:1]),
        replace(good, path="/webhooks/messenger/x/"),
        replace(good, host=("Host", "evil.example")),
        replace(good, method="PUT"),
        Post(path_of(account), query=GET_CHALLENGE, method="GET"),
    ]
    posts = [replace(post, headers=(*post.headers, ("X-Request-ID", "same"))) for post in posts]
    asgi = deliver("asgi", *posts)
    InboundEntry.objects.all().delete()
    django = deliver("django", *posts)
    answer = [
        [(reply.status, reply.body, {name: reply.headers.get(name) for name in OURS}) for reply in answers]
        for answers in (asgi, django)
    ]
    assert answer[0] == answer[1]


def test_75_the_whole_application_takes_a_webhook_and_refuses_a_foreign_websocket(account: ChannelAccount) -> None:
    from config.asgi import application

    said: list[Any] = []
    coming = [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1006}]

    async def send(message: Any) -> None:
        said.append(message)

    async def receive() -> dict[str, Any]:
        return coming.pop(0)

    async def through() -> Reply:
        foreign = {"type": "websocket", "path": "/x/", "headers": [(b"origin", b"https://evil.example")]}
        await application(foreign, receive, send)
        try:
            return await ask(application, message_post(account))
        finally:
            await application.application_mapping["http"].close()

    assert async_to_sync(through)().word == "accepted"
    assert [message["type"] for message in said] == ["websocket.close"]
    assert isinstance(application.application_mapping["http"], WebhookASGI)
    assert DJANGO is not application.application_mapping["http"]
