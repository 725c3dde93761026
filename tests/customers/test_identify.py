"""Who is writing: many messages at once, several names of one person."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import replace

import psycopg
import pytest

from channels_app.db import connect_parameters
from customers.identify import Person, identify, introduce, update
from customers.models import Customer, Identity, IdentityAlias

pytestmark = pytest.mark.django_db(transaction=True)

BY_PHONE = Person(
    kind="whatsapp", issuer="", external_id="+34600", stable_aliases=[("phone", "+34600"), ("bsuid", "ES.1")]
)
BY_ID = replace(BY_PHONE, external_id="ES.1")
LANES = 20


async def _identified(people: Sequence[Person]) -> list[uuid.UUID]:
    async with await psycopg.AsyncConnection.connect(**connect_parameters(), autocommit=True) as connection:
        found = []
        for person in people:
            async with connection.transaction():
                found.append(await identify(connection, person))
        return found


async def _at_once(people: Sequence[Person]) -> set[uuid.UUID]:
    lanes = [people[start::LANES] for start in range(LANES)]
    return {found for lane in await asyncio.gather(*map(_identified, lanes)) for found in lane}


def identified(*people: Person) -> set[uuid.UUID]:
    return asyncio.run(_at_once(people))


def test_two_hundred_first_messages_of_one_person_under_two_names_make_one_identity():
    assert len(identified(*[BY_PHONE, BY_ID] * 100)) == 1
    assert Identity.objects.count() == Customer.objects.count() == 1
    assert IdentityAlias.objects.count() == 2


def test_first_messages_of_many_people_at_once_make_an_identity_each():
    people = [Person(kind="whatsapp", issuer="", external_id=str(number)) for number in range(50)]
    assert len(identified(*people * 4)) == 50
    assert Customer.objects.count() == 50


def test_the_same_id_at_two_issuers_is_two_people():
    one = Person(kind="messenger", issuer="page-1", external_id="7")
    assert len(identified(one, replace(one, issuer="page-2"), replace(one, kind="instagram"))) == 3


def test_a_shared_name_is_no_evidence():
    one = Person(kind="twitter", issuer="", external_id="1", display_name="Ana", handle="ana")
    assert len(identified(one, replace(one, external_id="2"))) == 2


def test_a_name_is_kept_when_a_later_message_brings_none():
    identified(replace(BY_PHONE, display_name="Ana\r\nLevel: admin", locale="es"))
    identified(BY_PHONE)
    assert (Identity.objects.get().display_name, Identity.objects.get().locale) == ("Ana Level: admin", "es")


def test_somebody_with_a_new_number_stays_the_same_person():
    async def moved() -> tuple[bool, bool]:
        async with await psycopg.AsyncConnection.connect(**connect_parameters(), autocommit=True) as connection:
            known = await update(connection, replace(BY_PHONE, stable_aliases=[("phone", "+34700")]))
            return known, await update(connection, Person(kind="whatsapp", issuer="", external_id="nobody"))

    first = identified(BY_PHONE)
    assert asyncio.run(moved()) == (True, False)
    assert (
        identified(Person(kind="whatsapp", issuer="", external_id="+34700", stable_aliases=[("phone", "+34700")]))
        == first
    )


def test_who_is_introduced_gives_an_unnamed_customer_their_name():
    async def introduced(identity: uuid.UUID, name: str) -> None:
        async with await psycopg.AsyncConnection.connect(**connect_parameters(), autocommit=True) as connection:
            await introduce(connection, identity, {"display_name": name})

    [identity] = identified(BY_PHONE)
    asyncio.run(introduced(identity, "Ana"))
    asyncio.run(introduced(identity, "Ana María"))
    assert Customer.objects.get().display_name == "Ana"
    assert Identity.objects.get().display_name == "Ana María"
