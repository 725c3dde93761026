"""How each account serves its customers: pause, hours, replies, rules. Read by every bridge."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from channels_app.accounts.opening_hours import Hours, Opening, opening
from channels_app.reply_occasions import OCCASIONS
from channels_app.toolkit.msgspec_tools import convert

#: Seconds after which a change of an account's settings counts at the latest.
EVERY = 1.0


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Where a chat goes whose first message has one of the words."""

    words: str
    flow_id: str
    attributes: dict[str, Any]

    def fits(self, text: str) -> bool:
        words = (word.strip() for word in self.words.split(","))
        return any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE) for word in words if word)


class AccountSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One account's settings. `replies` are texts by the occasion's key (reply_occasions.py) and by language."""

    id: uuid.UUID
    paused_since: datetime | None = None
    closed_starts_chat: bool = True
    default_language: str = "en"
    queue_delay_minutes: int = 3
    hours: Hours | None = None
    replies: dict[str, dict[str, str]] = {}
    rules: list[Rule] = []

    def opening(self, at: datetime) -> Opening:
        """Return whether it is open; an account without hours always is."""
        return opening(self.hours, at) if self.hours else Opening(open=True, until=None)

    def rule_for(self, text: str) -> Rule | None:
        return next((rule for rule in self.rules if rule.fits(text)), None)


#: Fields of AccountSettings that are put together; every other one is the column of its name.
_COMPOSED = ("hours", "replies", "rules")
_OWN = [name for name in AccountSettings.__struct_fields__ if name not in _COMPOSED]
_COLUMNS = ", ".join(f"a.{name}" for name in (*_OWN, *(occasion.column for occasion in OCCASIONS if occasion.column)))
READ = f"""
SELECT {_COLUMNS},
       CASE WHEN h.id IS NULL THEN NULL ELSE jsonb_build_object('zone', h.zone, 'week', h.week, 'holidays',
            COALESCE((SELECT jsonb_object_agg(d.day::text, d.spans) FROM channels_app_holiday d
                       WHERE d.hours_id = h.id AND d.day >= current_date - 2), '{{}}')) END AS hours,
       (SELECT COALESCE(jsonb_agg(jsonb_build_array(r.occasion, r.language, r.text)), '[]')
          FROM channels_app_autoreply r WHERE r.account_id = a.id) AS replies,
       (SELECT COALESCE(jsonb_agg(jsonb_build_object('words', u.words, 'flow_id', u.connect_contact_flow_id,
                                                     'attributes', u.attributes) ORDER BY u.position, u.id), '[]')
          FROM channels_app_routingrule u WHERE u.account_id = a.id AND u.enabled) AS rules
  FROM channels_app_channelaccount a LEFT JOIN channels_app_businesshours h ON h.id = a.hours_id
"""  # noqa: S608 - names of fields
READ_ALL = f"{READ} WHERE a.enabled"
READ_ONE = f"{READ} WHERE a.id = %(account)s"


def read(row: Mapping[str, Any]) -> AccountSettings:
    """Return a row of READ, typed."""
    replies: dict[str, dict[str, str]] = {}
    for occasion, language, text in row["replies"]:
        replies.setdefault(occasion, {})[language] = text
    for occasion in OCCASIONS:
        default = occasion.default if occasion.key not in replies else ""
        if text := (row[occasion.column] if occasion.column else "") or default:
            replies[occasion.key] = {row["default_language"]: text}
    return convert({**row, "replies": replies}, AccountSettings)


@dataclass(slots=True)
class AccountSettingsCache:
    """The accounts' settings as they were a second ago."""

    _known: dict[uuid.UUID, AccountSettings] = field(default_factory=dict)

    def of(self, account: uuid.UUID) -> AccountSettings:
        """Return the account's settings; those of one that nobody has read yet are plain."""
        return self._known.get(account) or AccountSettings(id=account)

    def all(self) -> Iterable[AccountSettings]:
        return tuple(self._known.values())

    async def read(self, pool: AsyncConnectionPool[Any]) -> None:
        async with pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            rows = await (await cursor.execute(READ_ALL)).fetchall()
        self._known = {row["id"]: read(row) for row in rows}

    async def keep(self, pool: AsyncConnectionPool[Any]) -> None:
        """Read again and again."""
        while True:
            await self.read(pool)
            await asyncio.sleep(EVERY)
