"""Suggestions: what speaks for and against, what is too common to say anything, what stays dismissed."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from customers.merging import Method, keep_apart, merge
from customers.models import Customer, Identity, IdentityAlias, IdentityHint, PhoneHolder
from customers.names import name_key
from customers.sql_steps import take_now
from customers.suggestions import TOO_COMMON, suggest
from tests.factories import IdentityFactory

pytestmark = pytest.mark.django_db


def known(name: str = "", **fields: Any) -> Identity:
    return IdentityFactory(customer__display_name=name, display_name=name, name_key=name_key(name), **fields)


def add_hint(identity: Identity, type_: str, value: str) -> None:
    IdentityHint.objects.create(identity=identity, type=type_, value=value)


def holds(identity: Identity, number: str) -> None:
    IdentityAlias.objects.create(identity=identity, kind=identity.kind, type="phone", value=number)
    PhoneHolder.objects.get_or_create(value=number, defaults={"identity": identity})


def test_the_same_rare_name_in_another_order_is_suggested_with_its_reason() -> None:
    ana = known("Ana López", kind="messenger")
    other = known("LOPEZ, Ana", kind="twitter")
    [result] = suggest(ana.customer_id)
    assert (result.customer, result.name, result.kinds) == (other.customer_id, "LOPEZ, Ana", ("twitter",))
    assert result.speaks_for[0].text == "the same full name, which 2 identities have"
    assert 0.2 <= result.score < 0.5


def test_a_name_that_too_many_have_says_nothing() -> None:
    ana = known("Ana López", kind="messenger")
    for number in range(TOO_COMMON):
        known("Ana López", kind="twitter", external_id=str(number))
    assert suggest(ana.customer_id) == []


def test_one_word_is_no_name() -> None:
    ana = known("Ana", kind="messenger")
    known("Ana", kind="twitter")
    assert suggest(ana.customer_id) == []


def test_more_evidence_scores_higher_and_comes_first() -> None:
    ana = known("Ana López", kind="messenger")
    known("Ana López", kind="sms")
    likelier = known("Ana López", kind="twitter")
    add_hint(ana, "email", "ana@example.com")
    add_hint(likelier, "email", "ana@example.com")
    first, second = suggest(ana.customer_id)
    assert first.customer == likelier.customer_id
    assert first.score > second.score


def test_a_typed_number_leads_to_who_writes_from_it_and_back() -> None:
    ana, whatsapp = known("Ana López", kind="messenger"), known("Anita", kind="whatsapp")
    holds(whatsapp, "+34600")
    add_hint(ana, "phone", "+34600")
    [there], [back] = suggest(ana.customer_id), suggest(whatsapp.customer_id)
    assert (there.customer, back.customer) == (whatsapp.customer_id, ana.customer_id)
    assert "typed the number" in there.speaks_for[0].text
    assert there.score == back.score > 0.5


def test_what_speaks_against_lowers_the_score_and_is_named() -> None:
    one, other = (known("Ana López", kind="whatsapp", locale=locale) for locale in ("es_ES", "de-DE"))
    holds(one, "+34600")
    holds(other, "+34700")
    add_hint(one, "email", "ana@example.com")
    add_hint(other, "email", "ana@example.com")
    [result] = suggest(one.customer_id)
    assert [point.text for point in result.speaks_against] == [
        "two different accounts on one messenger",
        "two different verified numbers",
        "different languages",
    ]
    assert result.score < 0.35


def test_what_was_dismissed_stays_dismissed_also_after_merges() -> None:
    ana, other, third = (known("Ana López", kind=kind) for kind in ("messenger", "twitter", "sms"))
    with transaction.atomic():
        take_now(keep_apart(ana.home_id, other.home_id, by="ben"))
        take_now(merge(other.home_id, third.home_id, Method.PERSON, evidence={}))
    assert suggest(ana.customer_id) == []
    assert suggest(other.customer_id) == []


def test_who_is_one_customer_or_erased_is_not_suggested(django_assert_num_queries: Any) -> None:
    ana, other, gone = (known("Ana López", kind=kind) for kind in ("messenger", "twitter", "sms"))
    with transaction.atomic():
        take_now(merge(ana.home_id, other.home_id, Method.PERSON, evidence={}))
    Customer.objects.filter(pk=gone.customer_id).update(erased_at=gone.created_at)
    with django_assert_num_queries(4):
        assert suggest(ana.customer_id) == []


def test_nobody_resembles_nobody() -> None:
    assert suggest(known().customer_id) == []
    assert suggest(IdentityFactory.build().home_id) == []
