from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from channels_app import errors
from channels_app.toolkit.http_errors import refusal, retry_at

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SOON = int(NOW.timestamp()) + 60


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "30"}, 30),
        ({"retry-after": "Mon, 23 Nov 2026 12:00:45 GMT"}, 45),
        ({"retry-after": "Mon, 23 Nov 2026 11:00:00 GMT"}, 0),
        ({"retry-after": "9" * 50}, 86_400),
        ({"x-rate-limit-reset": str(SOON)}, 60),
        ({"retry-after": "soon", "x-rate-limit-reset": str(SOON)}, 60),
        ({"x-rate-limit-reset": "5"}, 0),
        ({"x-rate-limit-reset": "never"}, None),
        ({}, None),
    ],
)
@time_machine.travel(NOW, tick=False)
def test_a_wait_is_read_from_what_the_provider_says_and_never_longer_than_a_day(
    headers: dict[str, str], wait: int | None
) -> None:
    expected = None if wait is None else NOW + timedelta(seconds=wait)
    assert retry_at(headers, "x-rate-limit-reset") == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, errors.InvalidContent),
        (401, errors.AuthFailed),
        (402, errors.AccountProblem),
        (403, errors.AccountProblem),
        (404, errors.AccountProblem),
        (408, errors.Unavailable),
        (429, errors.Throttled),
        (500, errors.Unavailable),
        (599, errors.Unavailable),
        (302, errors.SendFailed),
        (418, errors.SendFailed),
    ],
)
def test_a_status_without_a_code_has_a_meaning_too(status: int, expected: type) -> None:
    assert type(refusal(status, "")) is expected


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422])
def test_a_code_that_nobody_knows_leaves_the_refusal_unknown_and_in_the_providers_words(status: int) -> None:
    refused = refusal(status, "Not like this.", "31415")
    assert (type(refused), refused.provider_code, refused.detail) == (errors.SendFailed, "31415", "Not like this.")


@pytest.mark.parametrize(("status", "expected"), [(401, errors.AuthFailed), (429, errors.Throttled)])
def test_a_status_that_has_one_meaning_keeps_it_beside_an_unknown_code(status: int, expected: type) -> None:
    assert type(refusal(status, "", "31415")) is expected


def test_no_status_alone_says_anything_of_the_customer() -> None:
    meant = {type(refusal(status, "")) for status in range(300, 600)}
    assert not meant & {errors.Blocked, errors.OptedOut, errors.InvalidRecipient, errors.WindowClosed}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Malformed access token EAAGm0PX4ZCpsBAKZCZCq7", "Malformed access token …"),
        ("/Accounts/AC0123456789abcdef0123456789abcdef/Messages", "/Accounts/…/Messages"),
        ("to +34 600 111 222 failed", "to … failed"),
        ("token 1234567-abcdefgh1ijklmnopqrstuvwx", "token …"),
        ("token -abcdefghij1234567890xyz", "token …"),
        ("to +1 (555) 000-1234", "to …"),
        ("retry in 24 hours, code 63016", "retry in 24 hours, code 63016"),
    ],
)
def test_neither_tokens_nor_numbers_are_repeated(words: str, expected: str) -> None:
    assert refusal(400, words).detail == expected


def test_words_are_kept_on_one_line_without_numbers_of_people() -> None:
    refused = refusal(400, "the number\n+34600111222 or 15550001 is\twrong, code 63016 " + "x" * 1_000)
    assert refused.detail.startswith("the number … or … is wrong, code 63016 x")
    assert len(refused.detail) <= 400


def test_only_what_is_retried_says_when() -> None:
    assert refusal(429, "", retry_at=NOW).retry_at == NOW
    assert refusal(401, "", retry_at=NOW).retry_at is None
