"""Measure the server's time for a customer's page: ten thousand messages on three channels, among many others'."""

from __future__ import annotations

import os
import time
from typing import Any

import django
import psycopg

from bench.lab import database, manage, median, percentile

QUICK: dict[str, Any] = {"messages": 1_000, "others": 5_000, "rounds": 10}

POPULATE = """
INSERT INTO channels_app_channelaccount (id, kind, name, address, credentials, enabled, when_uncertain,
       connect_instance_id, connect_contact_flow_id, holding_reply, attributes, created_at, updated_at)
SELECT gen_random_uuid(), kind, kind, kind, '', true, 'ask', '', '', '', '{}', now(), now()
  FROM unnest(ARRAY['whatsapp', 'messenger', 'twitter']) AS kind;
CREATE TEMP TABLE person AS
SELECT gen_random_uuid() AS customer, n FROM generate_series(0, %(others)s / 100) AS n;
INSERT INTO customers_customer (id, display_name, locale, created_at)
SELECT customer, 'Ana López', '', now() FROM person;
CREATE TEMP TABLE chat AS
SELECT gen_random_uuid() AS identity, gen_random_uuid() AS id, p.customer, p.n, a.id AS account, a.kind
  FROM person p CROSS JOIN channels_app_channelaccount a;
INSERT INTO customers_identity (id, customer_id, home_id, kind, issuer, external_id, display_name, handle, picture_url,
                                locale, created_at, last_seen_at)
SELECT identity, customer, customer, kind, '', n::text, 'Ana López', '', '', 'es', now(), now() FROM chat;
INSERT INTO connect_bridge_conversation (id, account_id, identity_id, recipient, last_sequence, active, fence,
                                         created_at, last_inbound_at, last_message_at)
SELECT id, account, identity, n::text, 0, false, 0, now(), now(), now() FROM chat;
CREATE TEMP TABLE contact AS
SELECT gen_random_uuid() AS id, c.id AS chat, c.n, s FROM chat c CROSS JOIN generate_series(0, 19) AS s;
INSERT INTO connect_bridge_contact (id, conversation_id, state, instance_id, flow_id, initial_contact_id, contact_id,
       participant_id, participant_token, connection_token, agent_name, bot, requested_at, started_at, ended_at, reason)
SELECT id, chat, 'ended', 'i', 'f', id::text, id::text, '', '', '', 'Ada', false, now() - interval '1 year', now(),
       now(), '' FROM contact;
INSERT INTO connect_bridge_message (id, conversation_id, contact_id, sequence, direction, role, author, content_type,
       text, status, error_code, error_detail, provider_message_id, relayed, attempts, occurred_at, created_at)
SELECT gen_random_uuid(), c.chat, c.id, m.k * 20 + c.s, CASE m.k %% 2 WHEN 0 THEN 'in' ELSE 'out' END,
       CASE m.k %% 2 WHEN 0 THEN 'CUSTOMER' ELSE 'AGENT' END, 'Somebody', 'text/plain',
       'A line of middling length, as people write it, number ' || m.k, 'delivered', '', '', '', 0, 0,
       now() - make_interval(mins => (m.k * 20 + c.s)::int * 7),
       now() - make_interval(mins => (m.k * 20 + c.s)::int * 7)
  FROM contact c CROSS JOIN LATERAL generate_series(1, CASE c.n WHEN 0 THEN %(messages)s / 60 ELSE 2 END) AS m (k);
"""


def run(messages: int = 10_000, others: int = 200_000, rounds: int = 60) -> dict[str, float]:
    with database("parley_bench_customer") as url:
        manage("migrate", "-v0", env={"DATABASE_URL": url})
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in filter(str.strip, POPULATE.split(";")):
                params = {"messages": messages, "others": others}
                connection.execute(psycopg.ClientCursor(connection).mogrify(statement, params))
            connection.execute("ANALYZE")
            chosen = connection.execute("SELECT customer FROM person WHERE n = 0").fetchone()
            total = connection.execute("SELECT count(*) FROM connect_bridge_message").fetchone()
        assert chosen is not None
        assert total is not None
        os.environ["DATABASE_URL"] = url
        return _measure(chosen[0], messages, total[0], rounds)


def _measure(customer: Any, messages: int, total: int, rounds: int) -> dict[str, float]:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.contrib.auth import get_user_model
    from django.db import connection, reset_queries
    from django.test import Client

    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(get_user_model().objects.create_superuser("bench"))
    path = f"/customers/{customer}/"
    client.get(path)  # templates are compiled once
    times, queries = [], 0
    connection.force_debug_cursor = True
    for _ in range(rounds):
        reset_queries()
        began = time.perf_counter()
        answer = client.get(path)
        times.append((time.perf_counter() - began) * 1000)
        assert answer.status_code == 200, answer.status_code
        queries = len(connection.queries)
    connection.close()
    pooled: Any = connection
    pooled.close_pool()
    results = {"median_ms": median(times), "p99_ms": percentile(times, 0.99), "queries": float(queries)}
    print(f"a customer with {messages:,} messages, of {total:,}; {len(answer.content) / 1000:.0f} kB of HTML:")
    print("  the page takes {median_ms:.0f} ms, p99 {p99_ms:.0f}, {queries:.0f} queries".format(**results))
    return results
