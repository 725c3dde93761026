"""Hints to the workers and news for the apps above, off the event loop."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from connect_bridge.bridge import dispatcher as dispatch
from connect_bridge.bridge.dispatcher import Dispatcher
from connect_bridge.signals import contact_ended, message_stored


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What tasks were published."""
    published: list[list[str]] = []
    monkeypatch.setattr(dispatch.drain, "delay", published.append)
    return published


@pytest.fixture
def news() -> Iterator[list[uuid.UUID]]:
    """The messages of which signals went to the apps above."""
    messages: list[uuid.UUID] = []

    def hear(message_id: uuid.UUID, **_: Any) -> None:
        messages.append(message_id)
        if len(messages) == 1:
            raise ValueError("a receiver that fails")

    message_stored.connect(hear)
    yield messages
    message_stored.disconnect(hear)


def test_what_comes_together_goes_out_in_one_task_and_customers_words_in_none(tasks, news):
    dispatcher, conversation, messages = Dispatcher(), uuid.uuid4(), [uuid.uuid4() for _ in range(3)]
    dispatcher.outbound(conversation, messages[:1])
    dispatcher.outbound(conversation, messages[1:2])
    dispatcher.inbound(uuid.uuid4(), messages[2])
    dispatcher.start()
    dispatcher.stop()
    assert tasks == [[str(conversation)]]
    assert news == messages


def test_a_broker_that_is_down_keeps_no_news_from_the_apps(monkeypatch, news):
    def refuse(_conversations: list[str]) -> None:
        raise OSError

    monkeypatch.setattr(dispatch.drain, "delay", refuse)
    dispatcher, message = Dispatcher(), uuid.uuid4()
    dispatcher.outbound(uuid.uuid4(), [message])
    dispatcher.start()
    dispatcher.stop()
    assert news == [message]


def test_hints_that_nobody_takes_do_not_fill_the_memory(monkeypatch, tasks):
    monkeypatch.setattr(dispatch, "MOST_WAITING", 10)
    dispatcher = Dispatcher()
    for _ in range(100):
        dispatcher.outbound(uuid.uuid4(), [])
    dispatcher.start()
    dispatcher.stop()
    assert [len(task) for task in tasks] == [10]


def test_a_chat_that_ended_is_told_to_the_apps_and_to_no_worker(tasks):
    ended: list[tuple[uuid.UUID, uuid.UUID]] = []

    def hear(conversation_id: uuid.UUID, contact_id: uuid.UUID, **_: Any) -> None:
        ended.append((conversation_id, contact_id))

    contact_ended.connect(hear)
    try:
        dispatcher, conversation, contact = Dispatcher(), uuid.uuid4(), uuid.uuid4()
        dispatcher.ended(conversation, contact)
        dispatcher.start()
        dispatcher.stop()
    finally:
        contact_ended.disconnect(hear)
    assert ended == [(conversation, contact)]
    assert tasks == []
