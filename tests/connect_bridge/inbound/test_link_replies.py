"""A link code joins two chats only after a YES where it came in, and both sides are told, in their languages."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

import psycopg
import pytest

from channels_app.infrastructure.db import connect_parameters
from connect_bridge.models import Conversation, Message, OutboxEntry
from customers.claims import Reply, reply_in
from customers.codes import make_link_code, make_one_time_code
from customers.models import Apart, Identity, LinkCode, Merge
from tests.connect_bridge.inbound.kit import came, message, route, wrote
from tests.factories import ChannelAccountFactory

pytestmark = pytest.mark.django_db(transaction=True)

ANA = "+34600000042"


@pytest.fixture
def whatsapp() -> Any:
    return ChannelAccountFactory(kind="whatsapp")


@pytest.fixture
def messenger() -> Any:
    return ChannelAccountFactory(kind="messenger")


@pytest.fixture
def ana(messenger: Any) -> Identity:
    return wrote(messenger, "7001", "Hello")


def said_to(identity: Identity) -> list[str]:
    sent = Message.objects.filter(conversation__identity=identity, direction="out").order_by("sequence")
    return list(sent.values_list("text", flat=True))


def code_of(identity: Identity) -> str:
    return make_link_code(identity.home_id, identity.pk, by="ana")[1]


def test_who_sends_a_code_is_asked_and_the_other_side_is_told(ana: Identity, whatsapp: Any) -> None:
    sender = wrote(whatsapp, ANA, code_of(ana))

    [question], [warning] = said_to(sender), said_to(ana)
    assert "Messenger" in question
    assert "YES" in question
    assert "WhatsApp" in warning
    assert "NOT ME" in warning
    assert not Merge.objects.exists()
    assert {entry.text for entry in OutboxEntry.objects.all()} == {question, warning}


def test_a_yes_joins_the_two_and_both_are_told(ana: Identity, whatsapp: Any) -> None:
    wrote(whatsapp, ANA, code_of(ana))
    sender = wrote(whatsapp, ANA, " Yes. ")

    ana.refresh_from_db()
    assert sender.customer_id == ana.customer_id
    assert said_to(sender)[1] == "This chat and yours on Messenger are joined."
    assert said_to(ana)[1] == "This chat and yours on WhatsApp are joined."
    assert LinkCode.objects.get().merge == Merge.objects.get()


@pytest.mark.parametrize("words", ["no", "NO!", "perhaps", "yes I would like to know where my parcel is"])
def test_without_a_yes_nothing_is_joined(ana: Identity, whatsapp: Any, words: str) -> None:
    wrote(whatsapp, ANA, code_of(ana))
    wrote(whatsapp, ANA, words)

    assert not Merge.objects.exists()


def test_after_a_no_a_yes_is_late(ana: Identity, whatsapp: Any) -> None:
    code = code_of(ana)
    for words in (code, "no", "yes", code, "yes"):
        sender = wrote(whatsapp, ANA, words)

    assert not Merge.objects.exists()
    assert said_to(sender)[1:] == ["Nothing was joined."]
    assert said_to(ana)[1:] == ["Nothing was joined."]


def test_a_question_is_open_for_a_quarter_of_an_hour(ana: Identity, whatsapp: Any) -> None:
    wrote(whatsapp, ANA, code_of(ana))
    LinkCode.objects.update(used_at=datetime.now(UTC) - timedelta(minutes=16))
    wrote(whatsapp, ANA, "yes")

    assert not Merge.objects.exists()


def test_nobody_else_answers(ana: Identity, whatsapp: Any, messenger: Any) -> None:
    wrote(whatsapp, ANA, code_of(ana))
    wrote(whatsapp, "+34600000043", "yes")
    wrote(messenger, "7001", "yes")

    assert not Merge.objects.exists()


@pytest.mark.parametrize("after_a_yes", [True, False])
def test_the_other_side_may_say_that_it_was_not_them(
    ana: Identity, whatsapp: Any, messenger: Any, *, after_a_yes: bool
) -> None:
    wrote(whatsapp, ANA, code_of(ana))
    if after_a_yes:
        wrote(whatsapp, ANA, "yes")
    wrote(messenger, "7001", "Not me!")
    sender = wrote(whatsapp, ANA, "yes")

    ana.refresh_from_db()
    assert sender.customer_id != ana.customer_id
    assert Apart.objects.count() == 1
    assert "not joined" in said_to(ana)[-1]
    assert "not joined" in said_to(sender)[-1]


def test_one_is_asked_in_ones_own_language(ana: Identity, whatsapp: Any) -> None:
    wrote(whatsapp, ANA, "Hola")
    Identity.objects.filter(external_id=ANA).update(locale="es_ES")
    sender = wrote(whatsapp, ANA, code_of(ana))
    wrote(whatsapp, ANA, "Sí")

    ana.refresh_from_db()
    sender.refresh_from_db()
    assert "Responda SÍ" in said_to(sender)[0]
    assert sender.customer_id == ana.customer_id


def test_where_nothing_may_be_sent_nothing_is_said(ana: Identity, whatsapp: Any) -> None:
    Conversation.objects.update(last_inbound_at=datetime.now(UTC) - timedelta(days=2))
    sender = wrote(whatsapp, ANA, code_of(ana))

    assert said_to(ana) == []
    assert len(said_to(sender)) == 1


def test_digits_join_at_once_and_both_are_told(ana: Identity, whatsapp: Any, messenger: Any) -> None:
    asked = wrote(whatsapp, ANA, "Hello")
    _, digits = make_one_time_code(asked.pk, asked.home_id, ana.pk, by="ana")
    wrote(messenger, "7001", digits)

    assert said_to(asked) == ["This chat and yours on Messenger are joined."]
    assert said_to(ana) == ["This chat and yours on WhatsApp are joined."]


def test_guesses_by_the_dozen_in_one_message_are_not_looked_at(ana: Identity, whatsapp: Any, messenger: Any) -> None:
    asked = wrote(whatsapp, ANA, "Hello")
    _, digits = make_one_time_code(asked.pk, asked.home_id, ana.pk, by="ana")
    wrote(messenger, "7001", f"{(int(digits) + 1) % 1_000_000:06} {digits}")

    assert not Merge.objects.exists()


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("YES", Reply.YES),
        ("ja!", Reply.YES),
        ("sì", Reply.YES),
        ("Nein", Reply.NO),
        ("NÃO", Reply.NO),
        ("Nicht ich.", Reply.NOT_ME),
        ("yes please", None),
        ("", None),
        ("y" * 10_000, None),
    ],
)
def test_a_whole_message_is_an_answer(text: str, reply: Reply | None) -> None:
    assert reply_in(text) is reply


def test_the_chats_of_both_are_locked_in_the_order_of_all_who_lock_several(messenger: Any, whatsapp: Any) -> None:
    both = [wrote(messenger, "7001", "Hello"), wrote(whatsapp, ANA, "Hello")]
    low, high = Conversation.objects.order_by("pk")
    [asker] = [one for one in both if one.pk == high.identity_id]
    came(high.account, message(asker.external_id, code_of(Identity.objects.get(pk=low.identity_id))))
    with psycopg.connect(**connect_parameters()) as other:
        other.execute("SELECT 1 FROM connect_bridge_conversation WHERE id = %s FOR NO KEY UPDATE", [low.pk])
        routing = Thread(target=route)
        routing.start()
        _waits_for_a_lock()
        other.execute("SELECT 1 FROM connect_bridge_conversation WHERE id = %s FOR NO KEY UPDATE NOWAIT", [high.pk])
        other.rollback()
        routing.join()
    assert all(said_to(one) for one in both)


def _waits_for_a_lock() -> None:
    deadline = time.monotonic() + 20
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with psycopg.connect(**connect_parameters(), autocommit=True) as looking:
        while looking.execute(waiting).fetchone() is None:
            assert time.monotonic() < deadline, "nobody waits for a lock"
            time.sleep(0.02)
