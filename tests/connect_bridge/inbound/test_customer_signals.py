"""What customers' words say about them: codes, STOP, numbers that they type; and nothing from the erased."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from channels_app.models import InboundEntry
from channels_app.types import AccountLinked, Alias, AliasType, ConsentChanged, MessageEdited, Sender
from connect_bridge.models import Conversation, Message
from customers.codes import make_link_code, make_one_time_code
from customers.models import Consent, Customer, Identity, IdentityHint, Merge, Tombstone
from customers.tombstones import digest_of
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


@pytest.mark.parametrize("carried", [{"text": "Continue my chat: {}"}, {"referral": "{} · SHORTLINK"}])
def test_a_link_code_in_the_first_message_or_the_link_and_a_yes_make_one_customer(messenger, whatsapp, carried) -> None:
    before = wrote(messenger, "7001", "Hello")
    _, code = make_link_code(before.home_id, before.pk, by="ana")

    asked = wrote(whatsapp, ANA, **{name: text.format(code) for name, text in carried.items()})
    after = wrote(whatsapp, ANA, "Yes!")

    before.refresh_from_db()
    assert asked.customer_id != before.customer_id
    assert after.customer_id == before.customer_id
    assert Merge.objects.get().method == Merge.Method.LINK_CODE
    assert Conversation.objects.count() == 2


def test_a_one_time_code_is_believed_where_it_was_to_be_typed(messenger, whatsapp) -> None:
    asked, typing = wrote(whatsapp, ANA, "Hello"), wrote(messenger, "7001", "I am Ana, too")
    _, digits = make_one_time_code(asked.pk, asked.home_id, typing.pk, by="ana")

    typing = wrote(messenger, "7001", f"{digits[:3]} {digits[3:]}")

    assert typing.customer_id == asked.customer_id


def test_a_code_in_an_edit_or_in_what_somebody_quotes_proves_nothing(messenger, whatsapp) -> None:
    before = wrote(messenger, "7001", "Hello")
    _, code = make_link_code(before.home_id, before.pk, by="ana")
    came(whatsapp, MessageEdited(key="e:1", sender=Sender(external_id=ANA), message_id="1", text=code))
    came(whatsapp, message("+34600000043", code))
    quoted = Message.objects
    route()
    quoting = quoted.get(text=code)
    wrote(whatsapp, "+34600000043", "yes")
    wrote(whatsapp, ANA, "What is this?", reply_to=quoting.provider_message_id)

    assert Merge.objects.count() == 1
    assert Identity.objects.get(external_id=ANA).customer_id != before.customer_id


def test_stop_suppresses_and_the_next_words_lift_it(whatsapp) -> None:
    ana = wrote(whatsapp, ANA, "STOP")
    assert ana.suppressed_by == "STOP"
    assert ana.suppressed_at is not None
    assert set(Consent.objects.values_list("granted", flat=True)) == {False}

    assert wrote(whatsapp, ANA, "One question…").suppressed_at is None
    assert not Consent.objects.filter(purpose="marketing", granted=True).exists()


def test_cancel_forbids_offers_and_no_answers(whatsapp) -> None:
    ana = wrote(whatsapp, ANA, "cancel")
    assert ana.suppressed_at is None
    assert set(Consent.objects.values_list("purpose", flat=True)) == {"marketing", "invitation"}


@pytest.mark.parametrize(
    ("granted", "topic", "outcome", "suppressed"),
    [
        (False, "block", "no more messages: suppressed", True),
        (False, "STOP", "no more messages: suppressed", True),
        (True, "unblock", "messages allowed again", False),
        (False, "unfollow", "no more offers", False),
        (True, "News", "offers allowed", False),
    ],
)
def test_a_messengers_word_on_consent_is_honoured(whatsapp, granted, topic, outcome, suppressed) -> None:
    wrote(whatsapp, ANA, "Hello")
    entry = came(whatsapp, ConsentChanged(key="c:1", sender=Sender(external_id=ANA), granted=granted, topic=topic))
    route()
    entry.refresh_from_db()
    assert (entry.state, entry.outcome) == ("done", outcome)
    assert (Identity.objects.get().suppressed_at is not None) is suppressed
    assert set(Consent.objects.values_list("evidence__entry", flat=True)) == {entry.pk}


def test_a_stop_that_comes_under_another_id_of_the_customers_is_honoured(whatsapp) -> None:
    """WhatsApp hides the number of who has a username: what the messenger took for STOP then names the user id."""
    user = Alias(type=AliasType.BSUID, value="ES.1349120865530274")
    wrote(whatsapp, Sender(external_id=ANA, aliases=(user,)), "Hello")
    hidden = Sender(external_id=user.value, aliases=(user,))
    came(whatsapp, message(hidden, "ALTO"))
    entry = came(whatsapp, ConsentChanged(key="c:1", sender=hidden, granted=False, topic="STOP"))
    route()
    entry.refresh_from_db()
    assert entry.outcome == "no more messages: suppressed"
    ana = Identity.objects.get()
    assert (ana.suppressed_at is not None, ana.suppressed_by) == (True, "STOP")


@pytest.mark.parametrize("words", [["STOP"], ["STOP", "block"], ["block", "STOP"]])
def test_lifting_a_block_lifts_no_stop(whatsapp, words) -> None:
    wrote(whatsapp, ANA, "Hello")
    for number, topic in enumerate(words):
        came(whatsapp, ConsentChanged(key=f"c:{number}", sender=Sender(external_id=ANA), granted=False, topic=topic))
        route()
    entry = came(whatsapp, ConsentChanged(key="c:9", sender=Sender(external_id=ANA), granted=True, topic="unblock"))
    route()
    entry.refresh_from_db()
    ana = Identity.objects.get()
    assert (ana.suppressed_at is not None, ana.suppressed_by) == (True, "STOP")
    assert entry.outcome == "no longer blocked; their STOP holds"
    assert not Consent.objects.filter(granted=True).exists()
    assert wrote(whatsapp, ANA, "Hello again").suppressed_at is None


def test_a_block_and_its_end_leave_answers_allowed(whatsapp) -> None:
    wrote(whatsapp, ANA, "Hello")
    for number, (topic, granted) in enumerate((("block", False), ("unblock", True))):
        came(whatsapp, ConsentChanged(key=f"c:{number}", sender=Sender(external_id=ANA), granted=granted, topic=topic))
        route()
    assert Identity.objects.get().suppressed_at is None


def test_a_strangers_consent_makes_nobody(whatsapp) -> None:
    came(whatsapp, ConsentChanged(key="c:1", sender=Sender(external_id=ANA), granted=True, topic="follow"))
    route()
    assert not Identity.objects.exists()


def test_numbers_that_somebody_types_and_ids_that_many_share_are_kept_as_hints(whatsapp) -> None:
    shared = Alias(type=AliasType.PARENT_BSUID, value="ES.ENT.1")
    wrote(whatsapp, Sender(external_id=ANA, aliases=(shared,)), "I am +34 600 11 22 33")
    assert set(IdentityHint.objects.values_list("type", "value")) == {
        ("parent_bsuid", "ES.ENT.1"),
        ("phone", "+34600112233"),
    }


def test_what_an_erased_person_wrote_before_is_dropped_with_its_raw_words(whatsapp) -> None:
    erased = datetime.now(UTC)
    Tombstone.objects.create(digest=digest_of("whatsapp", "", ANA), erased_at=erased)
    entry = came(whatsapp, message(ANA, "secret", occurred_at=erased - timedelta(days=1)))
    route()

    entry.refresh_from_db()
    entry.delivery.refresh_from_db()
    assert not Customer.objects.exists()
    assert (entry.state, entry.event, entry.sender) == (InboundEntry.State.DONE, {}, "erased")
    assert (bytes(entry.delivery.body), entry.delivery.headers, entry.delivery.query) == (b"", {}, "")


def test_account_linking_of_the_messenger_proves_who_signed_in(messenger, whatsapp) -> None:
    signed_in = wrote(whatsapp, ANA, "Hello")
    _, code = make_link_code(signed_in.home_id, None, by="the sign-in page")
    page = Sender(external_id="7001")
    linked = came(messenger, AccountLinked(key="l:1", sender=page, linked=True, code=code))
    other = came(messenger, AccountLinked(key="l:2", sender=page, linked=True, code="somebody else's"))
    unlinked = came(messenger, AccountLinked(key="l:3", sender=page, linked=False))
    route()

    assert Identity.objects.get(external_id="7001").customer_id == signed_in.customer_id
    assert Merge.objects.get().method == Merge.Method.PLATFORM
    for entry, outcome in ((linked, "linked: merged"), (other, "not ours"), (unlinked, "stay until a person")):
        entry.refresh_from_db()
        assert outcome in entry.outcome
    assert not Message.objects.filter(conversation__identity__external_id="7001").exists()
