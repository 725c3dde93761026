"""The log of calls to providers: one statement, which others may embed in theirs."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django.db import connection

from channels_app.toolkit.http import HttpTrace

#: Takes call_params(). Stands alone, or in a WITH.
LOG_CALLS = """
    INSERT INTO channels_app_channellog (account_id, outbox_entry, at, method, host, path, status, seconds, error)
    SELECT %(account)s::uuid, %(entry)s::uuid, now(), c.method, c.host, c.path, c.status, c.seconds, c.error
      FROM unnest(%(methods)s::text[], %(hosts)s::text[], %(paths)s::text[], %(statuses)s::int[], %(times)s::float8[],
                  %(errors)s::text[]) AS c (method, host, path, status, seconds, error)
"""


def call_params(account: uuid.UUID, entry: uuid.UUID | None, calls: Sequence[HttpTrace]) -> dict[str, Any]:
    """Return the parameters of LOG_CALLS; `entry` is the outbox entry that was sent, None if it was another call."""
    return {
        "entry": entry,
        "account": account,
        "methods": [call.method[:8] for call in calls],
        "hosts": [call.host[:255] for call in calls],
        "paths": [call.path[:1024] for call in calls],
        "statuses": [call.status for call in calls],
        "times": [call.seconds for call in calls],
        "errors": [call.error[:100] for call in calls],
    }


def log_calls(account: uuid.UUID, calls: Sequence[HttpTrace]) -> None:
    """Write down calls that sent nothing, over Django's connection."""
    with connection.cursor() as cursor:
        cursor.execute(LOG_CALLS, call_params(account, None, calls))
