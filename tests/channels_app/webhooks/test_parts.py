"""Parts of the intake by themselves: no database, no server."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from channels_app.account import Account
from channels_app.webhooks.account_cache import AccountCache
from channels_app.webhooks.guard import MOST_HANDSHAKES, HandshakeLimit, read_headers
from channels_app.webhooks.responses import Refused

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def account_with(former_until: datetime | None) -> Account:
    current: Any = "current"
    former: Any = "former"
    return Account(uuid.uuid4(), "messenger", "1", current, former, former_until)


@pytest.mark.parametrize(
    ("until", "counted"),
    [
        (NOW + timedelta(seconds=1), ["current", "former"]),
        (NOW, ["current"]),
        (NOW - timedelta(days=1), ["current"]),
        (None, ["current"]),
    ],
)
def test_former_credentials_count_until_their_time_even_in_memory(until: datetime | None, counted: list[str]) -> None:
    assert list(account_with(until).channels_at(NOW)) == counted


def test_headers_that_come_twice_are_named() -> None:
    headers, repeated = read_headers([(b"X-Sig", b"a"), (b"host", b"h"), (b"x-sig", b"b")])
    assert headers == {"x-sig": "a, b", "host": "h"}
    assert repeated == {"x-sig"}


def test_a_flood_of_unknown_ids_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channels_app.webhooks.account_cache._MOST_REMEMBERED", 100)
    accounts = AccountCache()
    for _ in range(1_000):
        accounts.remember(uuid.uuid4(), None)
    assert len(accounts._known) <= 100


def test_sixty_handshakes_a_minute_pass_for_each_peer_and_account() -> None:
    now = [600.0]
    limit, account = HandshakeLimit(lambda: now[0]), uuid.uuid4()
    for _ in range(MOST_HANDSHAKES):
        limit.check("203.0.113.9", account)
    with pytest.raises(Refused) as refused:
        limit.check("203.0.113.9", account)
    assert (refused.value.status, dict(refused.value.headers)["Retry-After"]) == (429, "61")
    limit.check("203.0.113.10", account)
    limit.check("203.0.113.9", uuid.uuid4())
    now[0] += 60
    limit.check("203.0.113.9", account)
