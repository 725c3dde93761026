"""Channels that are ready to send: one for each account, rebuilt when its row changes; their calls are recorded."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from channels_app.account import make_channel
from channels_app.channel import Channel
from channels_app.errors import Unavailable
from channels_app.fields import decrypt
from channels_app.toolkit.http import HttpTrace
from connect_bridge.outbox import db_pool

CREDENTIALS = "SELECT credentials FROM channels_app_channelaccount WHERE id = %s"

_ready: dict[uuid.UUID, tuple[datetime, Channel[Any]]] = {}
_calls: ContextVar[list[HttpTrace] | None] = ContextVar("calls", default=None)


@contextmanager
def recorded_calls() -> Iterator[list[HttpTrace]]:
    """Give the list to which every call to a provider, made in this thread meanwhile, is added."""
    calls: list[HttpTrace] = []
    token = _calls.set(calls)
    try:
        yield calls
    finally:
        _calls.reset(token)


def channel_of(account: uuid.UUID, kind: str, version: datetime) -> Channel[Any]:
    """Return the account's channel. `version` is the row's `updated_at`: another one means new credentials.

    Raises AccountProblem if the stored credentials do not fit the channel, Unavailable if no key of ours decrypts them.
    """
    ready = _ready.get(account)
    if ready is None or ready[0] != version:
        ready = _ready[account] = (version, _build(account, kind))
    return ready[1]


def _build(account: uuid.UUID, kind: str) -> Channel[Any]:
    with db_pool.connection() as connection:
        row = connection.execute(CREDENTIALS, [account]).fetchone()
    assert row is not None, "accounts with conversations are protected from deletion"
    try:
        credentials = decrypt(row[0])
    except ImproperlyConfigured as problem:
        raise Unavailable(str(problem)) from None
    return make_channel(kind, account, credentials, _record)


def _record(call: HttpTrace) -> None:
    calls = _calls.get()
    if calls is not None:
        calls.append(call)
