"""Measure how long a customer's merge suggestions take among a million identities."""

from __future__ import annotations

import os
import random
import time
from typing import Any

import django
import psycopg

from bench.lab import database, manage, median, percentile

QUICK: dict[str, Any] = {"identities": 20_000, "asked": 50}

#: Names are drawn unevenly, as in life: a few thousand people are called alike, most share their name with a handful.
POPULATE = """
CREATE TEMP TABLE person AS
SELECT gen_random_uuid() AS customer, gen_random_uuid() AS identity, n,
       (ARRAY['whatsapp', 'messenger', 'twitter', 'sms'])[1 + n %% 4] AS kind,
       'first' || floor(power(random(), 3) * 2000)::int || ' last' || floor(power(random(), 3) * 20000)::int AS name
  FROM generate_series(1, %(many)s) AS n;
INSERT INTO customers_customer (id, display_name, locale, created_at) SELECT customer, name, '', now() FROM person;
INSERT INTO customers_identity (id, customer_id, home_id, kind, issuer, external_id, display_name, name_key, handle,
                                picture_url, locale, created_at, last_seen_at)
SELECT identity, customer, customer, kind, '', CASE WHEN kind IN ('whatsapp', 'sms') THEN '+34' || n ELSE n::text END,
       name, name, CASE kind WHEN 'twitter' THEN 'handle' || n %% 150000 ELSE '' END, '', '', now(), now() FROM person;
INSERT INTO customers_identityalias (identity_id, kind, issuer, type, value, created_at)
SELECT identity, kind, '', 'phone', '+34' || n, now() FROM person WHERE kind IN ('whatsapp', 'sms');
INSERT INTO customers_phoneholder (value, identity_id, created_at)
SELECT value, identity_id, now() FROM customers_identityalias;
INSERT INTO customers_identityhint (identity_id, type, value, created_at)
SELECT identity, 'phone', '+34' || (1 + n * 7919::bigint %% %(many)s), now() FROM person WHERE n %% 10 = 0
 UNION ALL SELECT identity, 'email', 'mail' || n %% 60000 || '@example.com', now() FROM person WHERE n %% 7 = 0;
"""
ANALYSE = "ANALYZE customers_customer, customers_identity, customers_identityalias, customers_phoneholder"


def run(identities: int = 1_000_000, asked: int = 500) -> dict[str, float]:
    with database("parley_bench_suggestions") as url:
        manage("migrate", "-v0", env={"DATABASE_URL": url})
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in filter(str.strip, POPULATE.split(";")):
                connection.execute(psycopg.ClientCursor(connection).mogrify(statement, {"many": identities}))
            connection.execute(f"{ANALYSE}, customers_identityhint")
            rows = connection.execute("SELECT id FROM customers_customer ORDER BY random() LIMIT %s", [asked])
            chosen = [row[0] for row in rows.fetchall()]
        os.environ["DATABASE_URL"] = url
        return _report(identities, *_measure(chosen))


def _measure(chosen: list[Any]) -> tuple[list[float], int]:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.db import connection as ours

    from customers.suggestions import suggest

    suggest(chosen[0])  # the connection is made once
    times, count = [], 0
    for customer in random.sample(chosen, len(chosen)):
        began = time.perf_counter()
        count += len(suggest(customer))
        times.append((time.perf_counter() - began) * 1000)
    ours.close()
    pooled: Any = ours
    pooled.close_pool()
    return times, count


def _report(identities: int, times: list[float], suggestions: int) -> dict[str, float]:
    results = {"median_ms": median(times), "p99_ms": percentile(times, 0.99), "most_ms": max(times)}
    print(f"{len(times)} customers among {identities:,} identities, {suggestions} suggestions:")
    print("  one customer's take {median_ms:.1f} ms, p99 {p99_ms:.1f}, at most {most_ms:.1f}".format(**results))
    return results
