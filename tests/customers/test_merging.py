"""Merging and undoing it: any sequence, in any order, restores; nothing is ever destroyed."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from customers.merging import CannotMerge, Merged, Method, keep_apart, merge, unmerge
from customers.models import Apart, Customer, Identity, Merge
from customers.sql_steps import take, take_now
from tests.customers.kit import at_once, people, snapshot
from tests.factories import IdentityFactory, MessageFactory

#: Customers of one example.
FEW = 5
#: ("merge", a, b), ("undo", n): the n-th merge that is in force; ("message", a): something new arrives from a.
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("merge"), st.integers(0, FEW - 1), st.integers(0, FEW - 1)),
        st.tuples(st.just("undo"), st.integers(0, 9)),
        st.tuples(st.just("message"), st.integers(0, FEW - 1)),
    ),
    max_size=14,
)


def merged(one: uuid.UUID, other: uuid.UUID, method: Method = Method.PERSON) -> Merged:
    with transaction.atomic():
        return take_now(merge(one, other, method, evidence={}, by="ana"))


def undone(made: uuid.UUID | None, *, apart: bool = False) -> tuple[uuid.UUID, ...]:
    assert made is not None
    with transaction.atomic():
        return take_now(unmerge(made, by="ana", keep_apart=apart))


class Expected:
    """Who should be one person: worked out from the edges in force, by other means than the product's."""

    def __init__(self, homes: list[Customer]) -> None:
        self.homes = homes
        self.edges: dict[uuid.UUID, tuple[uuid.UUID, uuid.UUID]] = {}

    def shown_as(self) -> dict[uuid.UUID, uuid.UUID]:
        groups = {home.pk: {home.pk} for home in self.homes}
        for one, other in self.edges.values():
            joined = groups[one] | groups[other]
            groups |= dict.fromkeys(joined, joined)
        age = {home.pk: (home.created_at, home.pk) for home in self.homes}
        return {home: min(group, key=age.__getitem__) for home, group in groups.items()}


def play(steps: list[tuple[Any, ...]], identities: list[Identity]) -> list[tuple[Any, ...]]:
    """Take the steps, checking after each who is who; return the messages that arrived, as they should be found."""
    expected = Expected([identity.home for identity in identities])
    arrived = []
    for step in steps:
        match step:
            case ("merge", one, other):
                homes = identities[one].home_id, identities[other].home_id
                result = merged(*homes)
                if result.merge is not None:
                    expected.edges[result.merge] = homes
            case ("undo", number) if expected.edges:
                made = sorted(expected.edges)[number % len(expected.edges)]
                undone(made)
                del expected.edges[made]
            case ("message", one):
                message = MessageFactory(conversation__identity=identities[one])
                arrived.append((identities[one].pk, message.pk))
        assert dict(Identity.objects.values_list("home", "customer")) == expected.shown_as()
    for made in expected.edges:
        undone(made)
    return arrived


@pytest.mark.django_db(transaction=True)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=STEPS)
def test_any_sequence_of_merges_and_undos_leaves_all_as_it_was(steps: list[tuple[Any, ...]]) -> None:
    with transaction.atomic():
        identities = IdentityFactory.create_batch(FEW)
        before = snapshot()
        arrived = play(steps, identities)
        assert snapshot() == before
        for identity, message in arrived:
            result = Identity.objects.filter(conversations__messages=message).values_list("pk", "customer_id")
            assert list(result) == [(identity, Identity.objects.get(pk=identity).home_id)]
        transaction.set_rollback(True)


pytestmark = pytest.mark.django_db


def test_a_merge_shows_both_under_the_older_customer_whichever_way_round():
    older, younger = IdentityFactory(), IdentityFactory()
    assert merged(younger.home_id, older.home_id).customer == older.home_id
    assert set(Identity.objects.values_list("customer", flat=True)) == {older.home_id}
    assert Customer.objects.get(pk=younger.home_id).merged_into_id == older.home_id


def test_who_is_one_already_gets_no_second_merge():
    one, other = IdentityFactory(), IdentityFactory()
    merged(one.home_id, other.home_id)
    assert merged(other.home_id, one.home_id) == Merged(one.home_id, None)
    assert merged(one.home_id, one.home_id).merge is None
    assert Merge.objects.count() == 1


def test_undoing_the_first_of_two_merges_takes_apart_only_what_it_joined():
    ana, bea, cleo = IdentityFactory.create_batch(3)
    wrong = merged(ana.home_id, bea.home_id)
    merged(ana.home_id, cleo.home_id, Method.LINK_CODE)
    assert undone(wrong.merge) in [(ana.home_id, bea.home_id), (bea.home_id, ana.home_id)]
    assert people() == {frozenset({ana.pk, cleo.pk}), frozenset({bea.pk})}


def test_a_merge_is_undone_once():
    wrong = merged(IdentityFactory().home_id, IdentityFactory().home_id)
    undone(wrong.merge)
    with pytest.raises(CannotMerge, match="undone already"):
        undone(wrong.merge)


def test_an_undone_merge_keeps_its_row_and_says_who_and_why():
    wrong = merged(IdentityFactory().home_id, IdentityFactory().home_id)
    with transaction.atomic():
        take_now(unmerge(wrong.merge or uuid.uuid4(), by="ben", reason="two people"))
    kept = Merge.objects.get()
    assert (kept.made_by, kept.undone_by, kept.undo_reason) == ("ana", "ben", "two people")


def test_whom_an_undo_keeps_apart_no_proof_merges_but_a_person_may():
    one, other = IdentityFactory(), IdentityFactory()
    undone(merged(one.home_id, other.home_id).merge, apart=True)
    with pytest.raises(CannotMerge, match="two people"):
        merged(one.home_id, other.home_id, Method.LINK_CODE)
    assert merged(one.home_id, other.home_id).merge
    assert not Apart.objects.exists()


def test_keeping_apart_holds_for_all_that_the_two_are_merged_with():
    ana, bea, cleo = IdentityFactory.create_batch(3)
    take_now(keep_apart(ana.home_id, bea.home_id, by="ana"))
    merged(bea.home_id, cleo.home_id, Method.PHONE)
    with pytest.raises(CannotMerge) as kept:
        merged(ana.home_id, cleo.home_id, Method.PHONE)
    assert kept.value.code == "kept_apart"


def test_one_customer_cannot_be_kept_apart_from_itself():
    ana, bea = IdentityFactory.create_batch(2)
    merged(ana.home_id, bea.home_id)
    with pytest.raises(CannotMerge, match="undo their merge"):
        take_now(keep_apart(ana.home_id, bea.home_id, by="ana"))


def test_nobody_is_merged_with_somebody_who_is_not_there():
    with pytest.raises(CannotMerge, match="does not exist"):
        merged(IdentityFactory().home_id, uuid.uuid4())


@pytest.mark.django_db(transaction=True)
def test_merges_that_would_close_a_circle_at_the_same_moment_make_one_customer():
    homes = [identity.home_id for identity in IdentityFactory.create_batch(8)]

    async def join(connection: Any, one: uuid.UUID, other: uuid.UUID) -> Merged:
        return await take(connection, merge(one, other, Method.PERSON, evidence={}))

    pairs = [(homes[number], homes[(number + step) % 8]) for step in (1, 3, 5, 7) for number in range(8)]
    at_once([partial(join, one=one, other=other) for one, other in pairs])

    assert set(Identity.objects.values_list("customer", flat=True)) == {homes[0]}
    assert Merge.objects.count() == 7
