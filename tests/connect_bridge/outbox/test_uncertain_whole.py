"""Uncertain sends against the messengers' APIs as the simulated world plays them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from connect_bridge.models import Conversation
from connect_bridge.outbox import db_pool, queries, sender, uncertain
from sandbox.world.faults import Fault
from sandbox.world.settings import Settings
from tests.connect_bridge.outbox.kit import entries_of, let_pass, let_uncertain_pass, say, states_of
from tests.factories import ConversationFactory
from tests.provider_accounts_kit import LISTING, account_on, redirects, write
from tests.sandbox.kit import RunningWorld, running
from tests.sandbox.messengers_kit import CUSTOMERS


@pytest.fixture
def world(transactional_db: None, settings: Any) -> Iterator[RunningWorld]:
    with running(Settings(quotas=False)) as started:
        settings.HTTP_REDIRECTS = redirects(started.url)
        yield started
    db_pool.close()


def conversation_on(world: RunningWorld, kind: str) -> Conversation:
    """Let a customer who has written be known to the world and to us."""
    account = account_on(world, kind)
    write(world, kind, "Hi")
    return ConversationFactory(account=account, recipient=CUSTOMERS[kind]["id"])


@pytest.mark.parametrize("kind", LISTING)
def test_a_message_that_was_taken_before_the_connection_broke_is_found(world: RunningWorld, kind: str) -> None:
    conversation = conversation_on(world, kind)
    world.world.faults.on.append(Fault(name="effect_then_reset", target="send", times=1))
    message = say(conversation, "Hello & <welcome> https://example.com")
    sender.drain(conversation.id)
    assert states_of(message) == ["uncertain", "uncertain"]
    let_uncertain_pass(5)
    uncertain.probe_due()
    assert states_of(message) == ["accepted", "accepted"]
    assert len(entries_of(message)[0].provider_message_ids) == 1


@pytest.mark.parametrize("kind", LISTING)
def test_a_message_that_was_never_taken_is_known_not_to_be_there(world: RunningWorld, kind: str) -> None:
    conversation = conversation_on(world, kind)
    message = say(conversation, "Hello")
    assert queries.claim(conversation.id, "a worker that dies before it sends") is not None
    let_pass(30)
    sender.sweep()
    assert states_of(message) == ["uncertain", "uncertain"]
    let_uncertain_pass(60)
    uncertain.probe_due()
    assert entries_of(message)[0].error_detail == uncertain.NOT_THERE
