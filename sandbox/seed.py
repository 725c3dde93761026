"""A contact centre's last weeks, made up: the same seed on the same day gives the same rows."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

from django.db import connection, transaction

from channels_app.models import ChannelAccount
from sandbox import talk
from sandbox.chatter import Chatter, Talk

#: Chats on an ordinary day, and how much of a day's traffic each hour (local) and weekday has.
CHATS_A_DAY = 95
HOURS = (1, 1, 0, 0, 0, 1, 2, 4, 8, 10, 11, 10, 9, 9, 10, 11, 10, 9, 8, 7, 6, 5, 3, 2)
WEEKDAYS = (1.15, 1.1, 1.0, 1.0, 1.05, 0.6, 0.45)
CUSTOMERS = 700


#: Tables in the order in which their rows may be stored.
TABLES = (
    "customers_customer",
    "customers_identity",
    "connect_bridge_conversation",
    "connect_bridge_contact",
    "connect_bridge_contactevent",
    "connect_bridge_message",
    "connect_bridge_outboxentry",
    "analytics_contactdetail",
    "analytics_sentiment",
    "analytics_phrase",
)


class Seeder:
    """Draws everything from one pair of dice, day by day."""

    def __init__(self, accounts: Sequence[ChannelAccount], seed: int, days: int, until: datetime) -> None:
        self.dice = Random(seed)
        self.days, self.until = days, until
        self.rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.talks = [self._talk(number, accounts) for number in range(CUSTOMERS)]

    def day(self, ago: int) -> int:
        """Write one day's chats; return how many."""
        from analytics.rollups.time_buckets import hours_between, local, midnight

        date = local(self.until - timedelta(days=ago)).date()
        hours = hours_between(midnight(date), midnight(date + timedelta(days=1)))
        growth = 1 + 0.25 * (self.days - ago) / max(1, self.days)
        written = 0
        for hour in hours:
            share = HOURS[local(hour).hour] / sum(HOURS)
            expected = CHATS_A_DAY * WEEKDAYS[date.weekday()] * growth * share
            for _ in range(int(expected) + (self.dice.random() < expected % 1)):
                begun = hour + timedelta(seconds=self.dice.uniform(0, 3600))
                written += self._chat(begun, ago)
        return written

    # ── customers ──

    def _talk(self, number: int, accounts: Sequence[ChannelAccount]) -> Talk:
        weights = [{"whatsapp": 5, "messenger": 3, "twitter": 2}.get(account.kind, 2) for account in accounts]
        return Talk(
            conversation=self.new_id(),
            identity=self.new_id(),
            customer=self.new_id(),
            account=self.dice.choices(accounts, weights)[0],
            name=f"{self.dice.choice(talk.FIRST_NAMES)} {self.dice.choice(talk.LAST_NAMES)}",
            number=number,
            language=self.dice.choices(["en", "es", "de", "fi"], [84, 8, 5, 3])[0],
            created_at=self.until - timedelta(days=self.days),
        )

    def customers(self) -> None:
        """Write the rows of everybody who has had a chat."""
        for story in self.talks:
            if not story.sequence:
                continue
            outer = f"demo-{story.number:05}"
            who = {"display_name": story.name, "locale": story.language, "created_at": story.created_at}
            self.add("customers_customer", id=story.customer, **who)
            self.add(
                "customers_identity",
                id=story.identity,
                customer_id=story.customer,
                home_id=story.customer,
                kind=story.account.kind,
                issuer="",
                external_id=outer,
                display_name=story.name,
                handle="",
                picture_url="",
                locale=story.language,
                created_at=story.created_at,
            )
            self.add(
                "connect_bridge_conversation",
                id=story.conversation,
                account_id=story.account.id,
                identity_id=story.identity,
                recipient=outer,
                last_sequence=story.sequence,
                last_inbound_at=story.busy_until,
                last_message_at=story.busy_until,
                active=False,
                fence=0,
                created_at=story.created_at,
            )

    # ── chats ──

    def _chat(self, begun: datetime, ago: int) -> bool:
        since = begun - timedelta(minutes=5)
        free = [story for story in self.dice.choices(self.talks, k=6) if story.busy_until < since]
        if not free or begun > self.until - timedelta(minutes=40):
            return False
        free[0].busy_until = Chatter(self, free[0], begun, ago).play()
        return True

    def add(self, table: str, **row: Any) -> None:
        """Write one row."""
        self.rows[table].append(row)

    def new_id(self) -> uuid.UUID:
        return uuid.UUID(int=self.dice.getrandbits(128), version=4)


def store(rows: dict[str, list[dict[str, Any]]]) -> Iterator[tuple[str, int]]:
    """Copy everything into the database in one transaction; yield each table with its number of rows."""
    with transaction.atomic(), connection.cursor() as cursor:
        for table in TABLES:
            written = rows.get(table, [])
            if written:
                with cursor.copy(f"COPY {table} ({', '.join(written[0])}) FROM STDIN") as copy:
                    for row in written:
                        copy.write_row(list(row.values()))
            yield table, len(written)
