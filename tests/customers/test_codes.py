"""Codes that prove a second channel: signed, used once, typed as people type."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customers import code_format, codes
from customers.codes import Outcome, Redeemed
from customers.merging import keep_apart
from customers.models import Identity, LinkCode, Merge
from customers.sql_steps import take, take_now
from tests.customers.kit import at_once, people
from tests.factories import IdentityFactory


def link_code(identity: Identity, **fields: object) -> str:
    return codes.make_link_code(identity.home_id, identity.pk, by="ana", **fields)[1]


def redeemed(identity: Identity, code: str) -> Redeemed:
    return take_now(codes.redeem(identity.pk, code, {}))


@pytest.mark.parametrize(
    "typed",
    [
        "{}",
        "Hello! My code is {} thanks",
        "{lower}",
        "PARLEY {letters}",
        "parley{letters}.",
        "[came from: {} · SHORTLINK]",
        "PARLEY \u2013 {blanks}",
    ],
)
@pytest.mark.django_db
def test_a_code_is_found_however_it_is_typed(typed: str) -> None:
    code = link_code(IdentityFactory())
    letters = code.removeprefix("PARLEY-").replace("-", "")
    text = typed.format(code, lower=code.lower(), letters=letters, blanks=" ".join(letters))
    assert code_format.link_codes_in(text) == [code]


@pytest.mark.django_db
def test_letters_that_look_like_digits_are_read_as_those() -> None:
    code = next(code for code in (link_code(IdentityFactory()) for _ in range(200)) if "0" in code and "1" in code)
    assert code_format.link_codes_in(code.replace("0", "O").replace("1", "l")) == [code]


@given(st.text(alphabet="0123456789ABCDEFGHJKMNPQRSTVWXYZ", min_size=16, max_size=16))
def test_a_guess_is_no_code(letters: str) -> None:
    assert code_format.link_codes_in(f"PARLEY-{letters}") == []


@given(st.text(max_size=300))
def test_no_text_confuses_the_search(text: str) -> None:
    assert code_format.link_codes_in("PARLEY" + text) == []
    assert isinstance(code_format.one_time_code_in(text), str)


@pytest.mark.django_db
def test_a_link_code_makes_two_channels_one_customer_and_says_how() -> None:
    messenger, whatsapp = IdentityFactory(kind="messenger"), IdentityFactory()
    result = redeemed(whatsapp, link_code(messenger))
    assert result == Redeemed(Outcome.MERGED, messenger.home_id, messenger.pk)
    assert len(people()) == 1
    merge = Merge.objects.get()
    assert merge.method == Merge.Method.LINK_CODE
    assert merge.evidence["identities"] == [str(messenger.pk), str(whatsapp.pk)]
    assert LinkCode.objects.get().merge == merge


@pytest.mark.django_db
def test_a_code_works_once() -> None:
    code = link_code(IdentityFactory(kind="messenger"))
    redeemed(IdentityFactory(), code)
    assert redeemed(IdentityFactory(), code).outcome == Outcome.USED
    assert len(people()) == 2


@pytest.mark.django_db
def test_a_code_that_is_too_old_proves_nothing() -> None:
    code = link_code(IdentityFactory(kind="messenger"), lasts=timedelta(seconds=-1))
    assert redeemed(IdentityFactory(), code).outcome == Outcome.EXPIRED


@pytest.mark.django_db
def test_a_code_that_comes_back_from_where_it_was_handed_over_stays_good() -> None:
    messenger = IdentityFactory(kind="messenger")
    code = link_code(messenger)
    assert redeemed(messenger, code).outcome == Outcome.SAME_IDENTITY
    assert redeemed(IdentityFactory(), code).outcome == Outcome.MERGED


@pytest.mark.django_db
def test_a_code_does_not_merge_whom_a_person_keeps_apart() -> None:
    messenger, whatsapp = IdentityFactory(kind="messenger"), IdentityFactory()
    take_now(keep_apart(messenger.home_id, whatsapp.home_id, by="ana"))
    assert redeemed(whatsapp, link_code(messenger)).outcome == Outcome.KEPT_APART
    assert len(people()) == 2


@pytest.mark.django_db
def test_the_database_does_not_hold_the_code() -> None:
    code = link_code(IdentityFactory())
    assert code not in str(LinkCode.objects.values_list().get())


@pytest.mark.django_db(transaction=True)
def test_of_two_who_send_one_code_at_the_same_moment_one_is_believed() -> None:
    code = link_code(IdentityFactory(kind="messenger"))
    others = IdentityFactory.create_batch(10)
    result = at_once([lambda c, i=other.pk: take(c, codes.redeem(i, code, {})) for other in others], lanes=10)
    assert sorted(one.outcome for one in result) == [Outcome.MERGED, *[Outcome.USED] * 9]


def one_time(asked: Identity, typed_by: Identity) -> str:
    return codes.make_one_time_code(asked.pk, asked.home_id, typed_by.pk, by="ana")[1]


def typed(identity: Identity, digits: str) -> Outcome:
    return take_now(codes.redeem_digits(identity.pk, digits, {})).outcome


@pytest.mark.django_db
def test_a_one_time_code_proves_the_channel_that_it_was_sent_to() -> None:
    whatsapp, twitter = IdentityFactory(), IdentityFactory(kind="twitter")
    digits = one_time(whatsapp, typed_by=twitter)
    assert code_format.one_time_code_in(f"It says {digits[:3]} {digits[3:]}.") == digits
    assert typed(IdentityFactory(), digits) == Outcome.UNKNOWN
    assert typed(twitter, digits) == Outcome.MERGED
    assert Merge.objects.get().method == Merge.Method.ONE_TIME_CODE
    assert typed(twitter, digits) == Outcome.UNKNOWN


@pytest.mark.django_db
def test_after_five_wrong_guesses_the_right_digits_are_wrong_too() -> None:
    whatsapp, twitter = IdentityFactory(), IdentityFactory(kind="twitter")
    digits = one_time(whatsapp, typed_by=twitter)
    wrong = f"{(int(digits) + 1) % 1_000_000:06}"
    for _ in range(codes.MOST_GUESSES):
        assert typed(twitter, wrong) == Outcome.UNKNOWN
    assert typed(twitter, digits) == Outcome.UNKNOWN
    assert len(people()) == 2


@pytest.mark.django_db
def test_a_new_one_time_code_replaces_the_former() -> None:
    whatsapp, twitter = IdentityFactory(), IdentityFactory(kind="twitter")
    first = one_time(whatsapp, typed_by=twitter)
    second = one_time(whatsapp, typed_by=twitter)
    while second == first:
        second = one_time(whatsapp, typed_by=twitter)
    assert typed(twitter, first) == Outcome.UNKNOWN
    assert typed(twitter, second) == Outcome.MERGED


@pytest.mark.parametrize(
    "text", ["call 1234567", "12345", "order 2024-123456789", "123456 or 654321", "x" * 100 + "123456"]
)
def test_other_numbers_are_no_one_time_code(text: str) -> None:
    assert code_format.one_time_code_in(text) == ""


def test_a_code_for_nobody_is_unknown(db: None) -> None:
    assert take_now(codes.redeem(uuid.uuid4(), "PARLEY-0000-0000-0000-0000", {})) == Redeemed(Outcome.UNKNOWN)


def test_two_guesses_in_one_message_are_none_and_the_same_twice_is_one() -> None:
    assert code_format.one_time_code_in("123456 123457") == ""
    assert code_format.one_time_code_in("123456, I mean 123 456") == "123456"


@pytest.mark.django_db
def test_new_codes_give_no_endless_guesses() -> None:
    whatsapp, twitter = IdentityFactory(), IdentityFactory(kind="twitter")
    for _ in range(codes.MOST_IN_A_DAY // codes.MOST_GUESSES):
        digits = one_time(whatsapp, typed_by=twitter)
        for _ in range(codes.MOST_GUESSES):
            assert typed(twitter, f"{(int(digits) + 1) % 1_000_000:06}") == Outcome.UNKNOWN

    assert typed(twitter, one_time(whatsapp, typed_by=twitter)) == Outcome.UNKNOWN
    assert len(people()) == 2


@pytest.mark.django_db
def test_codes_outlive_the_change_of_our_key(settings: Any) -> None:
    whatsapp, twitter, messenger = IdentityFactory(), IdentityFactory(kind="twitter"), IdentityFactory(kind="messenger")
    link, digits = link_code(whatsapp), one_time(whatsapp, typed_by=messenger)
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another key, put in its place"

    [result] = code_format.link_codes_in(f"hello {link}")
    assert redeemed(twitter, result).outcome == Outcome.MERGED
    assert typed(messenger, digits) == Outcome.MERGED


@pytest.mark.django_db
def test_a_code_lasts_a_day_at_most() -> None:
    row, _ = codes.make_link_code(IdentityFactory().home_id, None, by="ana", lasts=timedelta(days=30))
    assert row.expires_at - row.made_at <= timedelta(days=1)
