"""Uncertain sends against the messengers' APIs as the simulated world plays them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from channels_app.models import ChannelAccount
from connect_bridge.models import Conversation
from connect_bridge.outbox import db_pool, queries, sender, uncertain
from sandbox.world.faults import Fault
from sandbox.world.settings import Settings
from tests.connect_bridge.outbox.kit import entries_of, let_pass, let_uncertain_pass, say, states_of
from tests.factories import ChannelAccountFactory, ConversationFactory
from tests.sandbox.kit import RunningWorld, running
from tests.sandbox.messengers_kit import ADDRESSES, CREDENTIALS, CUSTOMERS

KEYS = {
    "twitter": ("consumer_key", "consumer_secret", "access_token", "access_token_secret", "user_id"),
    "whatsapp": ("account_sid", "auth_token", "number"),
}
HOSTS = {"twitter": ("https://api.twitter.com", "x"), "whatsapp": ("https://api.twilio.com", "twilio")}


@pytest.fixture
def world(transactional_db: None) -> Iterator[RunningWorld]:
    with running(Settings(quotas=False)) as started:
        yield started
    db_pool.close()


def conversation_on(world: RunningWorld, kind: str, settings: Any) -> Conversation:
    """Let a customer who has written be known to the world and to us."""
    host, path = HOSTS[kind]
    settings.HTTP_REDIRECTS = {host: f"{world.url}/{path}"}
    world.call("POST", "/phones/accounts", {"kind": kind, "webhook_url": "", "credentials": CREDENTIALS[kind]})
    wrote = {"from": CUSTOMERS[kind], "content": {"type": "text", "text": "Hi"}}
    world.call("POST", f"/phones/{kind}/{ADDRESSES[kind]}/messages", wrote)
    credentials = {key: CREDENTIALS[kind][key] for key in KEYS[kind]}
    account: ChannelAccount = ChannelAccountFactory(kind=kind, address=ADDRESSES[kind], credentials=credentials)
    return ConversationFactory(account=account, recipient=CUSTOMERS[kind]["id"])


@pytest.mark.parametrize("kind", sorted(KEYS))
def test_a_message_that_was_taken_before_the_connection_broke_is_found(
    world: RunningWorld, settings: Any, kind: str
) -> None:
    conversation = conversation_on(world, kind, settings)
    world.world.faults.on.append(Fault(name="effect_then_reset", target="send", times=1))
    message = say(conversation, "Hello & <welcome> https://example.com")
    sender.drain(conversation.id)
    assert states_of(message) == ["uncertain", "uncertain"]
    let_uncertain_pass(5)
    uncertain.probe_due()
    assert states_of(message) == ["accepted", "accepted"]
    assert len(entries_of(message)[0].provider_message_ids) == 1


@pytest.mark.parametrize("kind", sorted(KEYS))
def test_a_message_that_was_never_taken_is_known_not_to_be_there(world: RunningWorld, settings: Any, kind: str) -> None:
    conversation = conversation_on(world, kind, settings)
    message = say(conversation, "Hello")
    assert queries.claim(conversation.id, "a worker that dies before it sends") is not None
    let_pass(30)
    sender.sweep()
    assert states_of(message) == ["uncertain", "uncertain"]
    let_uncertain_pass(60)
    uncertain.probe_due()
    assert entries_of(message)[0].error_detail == uncertain.NOT_THERE
