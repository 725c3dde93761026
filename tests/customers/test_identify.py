"""Who is writing: many messages at once, several names of one person."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from customers.identify import Erased, NotAnId, identify, introduce, recognise
from customers.identity_changes import update
from customers.models import (
    Apart,
    Customer,
    Identity,
    IdentityAlias,
    IdentityChange,
    IdentityHint,
    Merge,
    Tombstone,
)
from customers.person import Person
from customers.tombstones import digest_of
from tests.customers.kit import at_once, done, people

pytestmark = pytest.mark.django_db(transaction=True)

BY_PHONE = Person(
    kind="whatsapp", issuer="", external_id="+34600", stable_aliases=[("phone", "+34600"), ("bsuid", "ES.1")]
)
BY_ID = replace(BY_PHONE, external_id="ES.1")
#: The same number on another channel.
BY_SMS = Person(kind="sms", issuer="", external_id="+34600", stable_aliases=[("phone", "+34600")])


def identified(*people: Person) -> set[uuid.UUID]:
    return set(at_once([partial(identify, person=person) for person in people]))


def renamed(person: Person, former_id: str) -> bool:
    return done(lambda connection: update(connection, person, former_id))


def test_two_hundred_first_messages_of_one_person_under_two_names_make_one_identity():
    assert len(identified(*[BY_PHONE, BY_ID] * 100)) == 1
    assert Identity.objects.count() == Customer.objects.count() == 1
    assert IdentityAlias.objects.count() == 2


def test_two_hundred_first_messages_of_one_person_over_two_channels_make_one_identity_each_and_one_customer():
    assert len(identified(*[BY_PHONE, BY_SMS] * 100)) == 2
    assert {len(person) for person in people()} == {2}
    assert Merge.objects.get().method == Merge.Method.PHONE


def test_first_messages_of_many_people_over_two_channels_pair_each_with_themselves():
    numbers = [f"+346{number:04}" for number in range(50)]
    both = [
        replace(person, external_id=number, stable_aliases=[("phone", number)])
        for number in numbers
        for person in (BY_PHONE, BY_SMS)
    ]
    assert len(identified(*both * 2)) == 100
    assert len(people()) == 50


def test_first_messages_of_many_people_at_once_make_an_identity_each():
    people = [Person(kind="whatsapp", issuer="", external_id=str(number)) for number in range(1, 51)]
    assert len(identified(*people * 4)) == 50
    assert Customer.objects.count() == 50


def test_the_same_id_at_two_issuers_is_two_people():
    one = Person(kind="messenger", issuer="page-1", external_id="7")
    assert len(identified(one, replace(one, issuer="page-2"), replace(one, kind="instagram"))) == 3
    assert len(people()) == 3


def test_a_shared_name_is_no_evidence():
    one = Person(kind="twitter", issuer="", external_id="1", display_name="Ana López", handle="ana")
    assert len(identified(one, replace(one, external_id="2"))) == 2
    assert len(people()) == 2


def test_a_name_is_kept_when_a_later_message_brings_none():
    identified(replace(BY_PHONE, display_name="Ana\r\nLevel: admin", locale="es"))
    identified(BY_PHONE)
    assert (Identity.objects.get().display_name, Identity.objects.get().locale) == ("Ana Level: admin", "es")


def test_two_ids_that_the_messenger_gives_for_one_person_make_two_identities_one_customer():
    first = identified(replace(BY_ID, stable_aliases=[("bsuid", "ES.1")]))
    second = identified(replace(BY_PHONE, stable_aliases=[("phone", "+34600")]))
    assert first != second
    assert len(people()) == 2
    identified(BY_PHONE)
    assert len(people()) == 1
    assert Merge.objects.get().method == Merge.Method.ALIAS


def test_a_number_whose_holder_was_silent_for_long_is_no_proof_any_more():
    identified(BY_PHONE)
    Identity.objects.update(last_seen_at=datetime.now(UTC) - timedelta(days=91))
    identified(BY_SMS)
    assert len(people()) == 2


def test_whom_a_person_keeps_apart_a_number_does_not_merge():
    identified(BY_PHONE)
    identified(replace(BY_SMS, stable_aliases=[]))
    one, other = sorted(Identity.objects.values_list("home", flat=True))
    Apart.objects.create(low_id=one, high_id=other, at=datetime.now(UTC), by="ana")
    identified(BY_SMS)
    assert len(people()) == 2


def test_a_new_handle_is_written_down_with_the_old_one():
    ana = Person(kind="twitter", issuer="", external_id="1", handle="ana", display_name="Ana")
    identified(ana)
    identified(replace(ana, handle="ana_maria"))
    change = IdentityChange.objects.get()
    assert (change.field, change.old, change.new, change.source) == ("handle", "ana", "ana_maria", "webhook")


def test_a_user_id_that_was_made_anew_for_a_number_is_written_down():
    identified(BY_PHONE)
    identified(replace(BY_PHONE, stable_aliases=[("phone", "+34600"), ("bsuid", "ES.2")]))
    change = IdentityChange.objects.get()
    assert (change.field, change.old, change.new) == ("bsuid", "ES.1", "ES.2")


def test_somebody_with_a_new_number_stays_the_same_person_and_the_old_number_is_free():
    first = identified(BY_PHONE)
    assert renamed(replace(BY_PHONE, external_id="+34700", stable_aliases=[("phone", "+34700")]), "+34600")
    moved = Person(kind="whatsapp", issuer="", external_id="+34700", stable_aliases=[("phone", "+34700")])
    assert identified(moved) == first
    new_owner = Person(kind="whatsapp", issuer="", external_id="+34600", stable_aliases=[("phone", "+34600")])
    assert identified(new_owner) != first
    assert len(people()) == 2
    assert IdentityChange.objects.filter(field="external_id", old="+34600", new="+34700").exists()


def test_a_new_number_that_wrote_before_makes_the_two_one_customer():
    identified(BY_PHONE, Person(kind="whatsapp", issuer="", external_id="+34700"))
    assert renamed(Person(kind="whatsapp", issuer="", external_id="+34700"), "+34600")
    assert len(people()) == 1


def test_a_new_number_of_nobody_we_know_is_nobody():
    assert not renamed(BY_PHONE, "+34999")
    assert not Identity.objects.exists()


def test_who_is_introduced_gives_an_unnamed_customer_their_name():
    [identity] = identified(BY_PHONE)
    done(lambda connection: introduce(connection, identity, {"display_name": "Ana"}))
    done(lambda connection: introduce(connection, identity, {"display_name": "Ana María"}))
    assert Customer.objects.get().display_name == "Ana"
    assert Identity.objects.get().display_name == "Ana María"
    assert IdentityChange.objects.get().source == "profile"


def test_what_was_written_before_its_sender_was_erased_brings_nobody_back():
    erased = datetime.now(UTC)
    Tombstone.objects.create(digest=digest_of("whatsapp", "", "+34600"), erased_at=erased)
    before, after = erased - timedelta(hours=1), erased + timedelta(seconds=1)
    with pytest.raises(Erased):
        done(lambda connection: identify(connection, BY_PHONE, before))
    assert not Customer.objects.exists()
    done(lambda connection: identify(connection, BY_PHONE, after))
    assert Customer.objects.count() == 1


MALFORMED = ["null", "undefined", "0", "anonymous", "", " ", "US", "us.1", "US.null", "US.0", "US.\uff11", "x" * 5_000]


@pytest.mark.parametrize("value", MALFORMED)
def test_two_numbers_that_came_with_the_same_malformed_id_are_two_people(value):
    one = replace(BY_PHONE, stable_aliases=[("phone", "+34600"), ("bsuid", value)], hints=[("parent_bsuid", value)])
    other = replace(one, external_id="+34700", stable_aliases=[("phone", "+34700"), ("bsuid", value)])
    assert len(identified(one, other)) == 2
    assert len(people()) == 2
    assert set(IdentityAlias.objects.values_list("value", flat=True)) == {"+34600", "+34700"}
    assert not IdentityHint.objects.exists()


@pytest.mark.parametrize("number", ["34600", "+0600", "+34 600", "\uff0b34600", "+3460\u0660", "+" + "1" * 16])
def test_a_number_that_is_not_in_its_form_ties_no_channels(number):
    identified(*(replace(one, external_id=name, stable_aliases=[("phone", number)])
                 for one, name in ((BY_PHONE, "+34600"), (BY_SMS, "+34700"))))  # fmt: skip
    assert len(people()) == 2


def test_a_user_id_that_comes_with_two_numbers_is_one_persons_and_the_numbers_count():
    identified(BY_PHONE)
    other = replace(BY_PHONE, external_id="+34700", stable_aliases=[("phone", "+34700"), ("bsuid", "ES.1")])
    identified(other)
    assert identified(other) != identified(BY_PHONE)
    assert len(people()) == 2
    assert identified(BY_ID) == identified(BY_PHONE)


@pytest.mark.parametrize("name", ["", " ", "null", "0", "undefined", "anonymous", "a b", "\uff11\uff12", "x" * 5_000])
def test_what_is_no_id_is_nobody(name):
    with pytest.raises(NotAnId):
        identified(Person(kind="messenger", issuer="1", external_id=name))
    assert not Identity.objects.exists()


def test_to_recognise_somebody_writes_nothing():
    assert done(lambda connection: recognise(connection, BY_PHONE)) is None
    [identity] = identified(BY_PHONE)
    before = Identity.objects.values().get()
    assert done(lambda connection: recognise(connection, replace(BY_ID, display_name="Ana"))) == identity
    assert Identity.objects.values().get() == before
