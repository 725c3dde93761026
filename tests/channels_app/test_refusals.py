from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from channels_app import errors
from channels_app.refusals import refusal, retry_at

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
        (403, errors.PolicyViolation),
        (404, errors.InvalidRecipient),
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


def test_words_are_kept_on_one_line_without_numbers_of_people() -> None:
    refused = refusal(400, "the number\n+34600111222 or 15550001 is\twrong, code 63016 " + "x" * 1_000)
    assert refused.detail.startswith("the number … or … is wrong, code 63016 x")
    assert len(refused.detail) <= 400


def test_only_what_is_retried_says_when() -> None:
    assert refusal(429, "", retry_at=NOW).retry_at == NOW
    assert refusal(401, "", retry_at=NOW).retry_at is None
