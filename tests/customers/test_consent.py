"""What customers allow: STOP is honoured, a new message wants an answer, offers need a yes."""

from __future__ import annotations

import pytest

from customers import consent
from customers.consent import ConsentSource, Purpose
from customers.hints import hints_in
from customers.identify import identify
from customers.models import Consent, Identity
from customers.person import Person
from customers.sql_steps import take_now
from tests.customers.kit import done
from tests.factories import IdentityFactory

WORD = ConsentSource(source="customer", topic="STOP", evidence={"entry": 7})


#: Answers, and news of one's own business, are allowed until forbidden; offers and invitations only when allowed.
ALLOWED_AT_FIRST = {"reply", "transactional"}


def allowed(identity: Identity) -> set[str]:
    """Return the purposes for which something may be sent: what the newest rows say, nothing to whom is suppressed."""
    if not Identity.objects.filter(pk=identity.pk, suppressed_at=None).exists():
        return set()
    newest = dict(Consent.objects.filter(identity=identity.pk).order_by("at", "pk").values_list("purpose", "granted"))
    return {purpose.value for purpose in Purpose if newest.get(purpose.value, purpose.value in ALLOWED_AT_FIRST)}


@pytest.mark.django_db
def test_answers_and_news_are_allowed_until_forbidden_offers_only_when_allowed() -> None:
    ana = IdentityFactory()
    assert allowed(ana) == {"reply", "transactional"}
    take_now(consent.record(ana.pk, [Purpose.MARKETING], ConsentSource(source="api", by="crm"), granted=True))
    assert allowed(ana) == {"reply", "transactional", "marketing"}


@pytest.mark.django_db
def test_after_stop_nothing_may_be_sent_and_the_evidence_is_kept() -> None:
    ana = IdentityFactory()
    take_now(consent.record(ana.pk, [Purpose.MARKETING], WORD, granted=True))
    take_now(consent.withdraw_all(ana.pk, WORD))
    assert allowed(ana) == set()
    row = Consent.objects.filter(purpose="marketing").latest("pk")
    assert (row.granted, row.topic, row.evidence) == (False, "STOP", {"entry": 7})
    ana.refresh_from_db()
    assert ana.suppressed_by == "STOP"


@pytest.mark.django_db
def test_start_allows_answers_but_no_offers() -> None:
    ana = IdentityFactory()
    take_now(consent.withdraw_all(ana.pk, WORD))
    take_now(consent.allow_answers(ana.pk, ConsentSource(source="customer", topic="START")))
    assert allowed(ana) == {"reply", "transactional"}


@pytest.mark.django_db(transaction=True)
def test_who_writes_again_after_stop_is_not_suppressed_any_more_and_gets_no_offers() -> None:
    ana = IdentityFactory()
    take_now(consent.record(ana.pk, [Purpose.MARKETING], WORD, granted=True))
    take_now(consent.withdraw_all(ana.pk, WORD))
    done(lambda connection: identify(connection, Person(kind=ana.kind, issuer="", external_id=ana.external_id)))
    ana.refresh_from_db()
    assert ana.suppressed_at is None
    assert "marketing" not in allowed(ana)


@pytest.mark.parametrize("text", ["STOP", "stop!", " Stop. ", "Unsubscribe", "OPT OUT", "BAJA", "arrêt"])
def test_a_whole_message_that_says_stop_is_a_stop(text: str) -> None:
    assert consent.word_of(text) is False


@pytest.mark.parametrize("text", ["Please stop the delivery", "cancel", "no", "", "stop stop stop stop stop stop"])
def test_words_that_answer_or_ask_something_are_no_stop(text: str) -> None:
    assert consent.word_of(text) is None


def test_start_is_a_start_and_cancel_may_be_about_offers() -> None:
    assert consent.word_of("START") is True
    assert consent.only_offers("Cancel")
    assert not consent.only_offers("cancel my order")


@pytest.mark.parametrize(
    ("text", "hints"),
    [
        ("Call me at +34 600 11-22-33 or Ana@Example.com.", [("phone", "+34600112233"), ("email", "ana@example.com")]),
        ("my order is 12345678901", []),
        ("1+1=2", []),
        ("+12", []),
        ("a@b", []),
        ("+34600112233 +34600112233", [("phone", "+34600112233")]),
        ("+44 (0)20 7946 0958", [("phone", "+442079460958")]),
        ("order +34 6001122", []),
        ("+999 600112233", []),
    ],
)
def test_numbers_and_addresses_that_somebody_types_are_hints(text: str, hints: list[tuple[str, str]]) -> None:
    assert hints_in(text) == hints
