"""As many rows as are asked for in every table that has a list page, made by SQL from the models themselves.

Row n of a table points at row n of the others, so that each list shows what it shows in life: names, accounts, states.
"""

from __future__ import annotations

from typing import Any

import psycopg
from django.apps import apps
from django.db import connection, models

#: What people set up by hand does not grow with traffic: of these there are so many. Groups come with the migrations.
FEW = {
    "auth.group": 6,
    "channels_app.autoreply": 80,
    "channels_app.accounthealth": 20,
    "channels_app.businesshours": 20,
    "channels_app.channelaccount": 20,
    "channels_app.inboundcheck": 20,
}
#: The row n of what a column points at, also where it may be empty.
REF = "(row n)"
_SECONDS_AGO = "now() - make_interval(secs => n * 7)"
_PAIR = "(md5('customers_customer' || n)::uuid, md5('customers_customer' || n % ROWS + 1)::uuid)"
_TWO = {"low_id": f"LEAST{_PAIR}", "high_id": f"GREATEST{_PAIR}"}
#: In this order each finds what it points at. Where a default will not do, an expression over n, the row's number, and
#: ROWS, how many there are.
TABLES: dict[str, dict[str, str]] = {
    "auth.user": {"username": "'person' || n", "email": "'person' || n || '@example.com'", "is_active": "true"},
    "auth.user_groups": {},
    "channels_app.businesshours": {"name": "'Office ' || n", "week": "'{}'"},
    "channels_app.channelaccount": {
        "kind": "(ARRAY['whatsapp', 'messenger', 'twitter'])[1 + n % 3]",
        "name": "'Account ' || n",
        "address": "n::text",
        "enabled": "true",
    },
    "channels_app.inboundcheck": {},
    "channels_app.accounthealth": {"points": "'[]'"},
    "channels_app.autoreply": {
        "occasion": "'greeting'",
        "language": "'l' || n / 20",
        "text": "'Welcome, number ' || n",
    },
    "channels_app.routingrule": {"words": "'word' || n"},
    "connect_bridge.bridge": {"host": "'host' || n", "pid": "n"},
    "customers.customer": {"display_name": "'First' || n % 999 || ' Last' || n % 9973"},
    "customers.identity": {
        "kind": "(ARRAY['whatsapp', 'messenger', 'twitter'])[1 + n % 3]",
        "external_id": "'+34' || n",
        "handle": "'handle' || n",
        "display_name": "'First' || n % 999 || ' Last' || n % 9973",
    },
    "customers.identityalias": {"kind": "'whatsapp'", "type": "'phone'", "value": "'+34' || n"},
    "customers.merge": {**_TWO, "method": "'person'", "made_by": "'ana'"},
    "customers.apart": {**_TWO, "by": "'ana'"},
    "customers.linkcode": {
        "digest": "md5('code' || n)",
        "outcome": "(ARRAY['', 'merged', 'expired'])[1 + n % 3]",
        "identity_id": REF,
    },
    "customers.consent": {"purpose": "'marketing'", "granted": "n % 2 = 0", "source": "'api'"},
    "customers.privacyrequest": {"verb": "'export'", "by": "'ana'"},
    "channels_app.webhookdelivery": {
        "request_id": "'request' || n",
        "body": "convert_to(repeat('x', 900), 'UTF8')",
        "state": "CASE n % 50 WHEN 0 THEN 'quarantined' ELSE 'accepted' END",
        "reason": "CASE n % 50 WHEN 0 THEN 'not JSON at ' || n ELSE '' END",
    },
    "channels_app.inboundentry": {
        "key": "'m:key' || n",
        "type": "'message'",
        "sender": "'+34' || n",
        "shard": "n % 64",
        "event": "jsonb_build_object('event', 'message', 'text', 'a line of middling length, number ' || n)",
        "state": "'done'",
    },
    "connect_bridge.conversation": {
        "recipient": "'+34' || n",
        "active": "n % 10 = 0",
        "last_message_at": _SECONDS_AGO,
        "last_inbound_at": _SECONDS_AGO,
    },
    "connect_bridge.contact": {
        "state": "CASE WHEN n % 10 = 0 THEN 'connected' ELSE 'ended' END",
        "initial_contact_id": "'contact' || n",
        "contact_id": "'contact' || n",
        "agent_name": "'Ada'",
        "ended_at": "CASE WHEN n % 10 = 0 THEN NULL ELSE now() END",
    },
    "connect_bridge.message": {
        "contact_id": REF,
        "sequence": "n",
        "direction": "CASE WHEN n % 2 = 0 THEN 'in' ELSE 'out' END",
        "role": "CASE WHEN n % 2 = 0 THEN 'CUSTOMER' ELSE 'AGENT' END",
        "text": "'A line of middling length, as people write it, number ' || n",
        "status": "CASE WHEN n % 2 = 0 THEN 'relayed' WHEN n % 49 = 0 THEN 'failed' ELSE 'delivered' END",
        "entry_id": "CASE WHEN n % 2 = 0 THEN n END",
    },
    "connect_bridge.outboxentry": {
        "sequence": "n",
        "text": "'A line of middling length, as people write it, number ' || n",
        "state": "CASE WHEN n % 49 = 0 THEN 'dead' ELSE 'accepted' END",
        "error_code": "CASE WHEN n % 49 = 0 THEN 'blocked' ELSE '' END",
        "provider_code": "CASE WHEN n % 49 = 0 THEN '551' ELSE '' END",
        "settled_at": _SECONDS_AGO,
        "provider_message_ids": "'[]'",
    },
    "connect_bridge.sentid": {"provider_message_id": "'sent' || n"},
    "connect_bridge.notice": {"route": "'participant'", "told_at": "now()"},
    "connect_bridge.replay": {
        "by": "'ana'",
        "verb": "'retry'",
        "asked": "'{}'",
        "counts": "'{}'",
        "rows": "jsonb_build_array(md5('connect_bridge_outboxentry' || n)::uuid)",
    },
    "channels_app.channellog": {
        "outbox_entry": "md5('connect_bridge_outboxentry' || n)::uuid",
        "method": "'POST'",
        "host": "'graph.facebook.com'",
        "path": "'/v26.0/' || n || '/messages'",
        "status": "CASE WHEN n % 49 = 0 THEN 400 ELSE 200 END",
        "seconds": "0.05",
    },
    "analytics.export": {"by": "'person' || n % 20", "what": "'tile volume'"},
    "analytics.spending": {"day": "current_date - n::int", "operation": "'BatchDetectSentiment'"},
    "people.transcriptread": {"by": "'person' || n % 20", "what": "'conversation'", "object_id": "n::text"},
}


def fill(url: str, rows: int) -> None:
    """Make the rows, and as many of each history; then let the planner look at them."""
    from people.audit import recorded_models

    past = {"history_date": _SECONDS_AGO, "history_type": "'~'", "history_user_id": "'ana'"}
    histories: list[Any] = recorded_models()
    made = {apps.get_model(label): values for label, values in TABLES.items()}
    with psycopg.connect(url, autocommit=True, cursor_factory=psycopg.ClientCursor) as server:
        for model, values in {**made, **{record.history.model: past for record in histories}}.items():
            server.execute(_insert(server.cursor(), model, values, rows).encode())
            if _is_counted(model):
                sequence = f"pg_get_serial_sequence('{model._meta.db_table}', '{model._meta.pk.column}')"
                server.execute(f"SELECT setval({sequence}, {_count(model, rows) + 1})".encode())
        server.execute("VACUUM ANALYZE")


def _count(model: type[models.Model], rows: int) -> int:
    return min(rows, FEW.get(model._meta.label_lower, rows))


def _is_counted(model: type[models.Model]) -> bool:
    return isinstance(model._meta.pk, models.AutoField)


def _insert(cursor: Any, model: type[models.Model], expressions: dict[str, str], rows: int) -> str:
    fields = model._meta.concrete_fields
    values = [
        _value(cursor, field, expressions.get(str(field.column)), rows).replace("ROWS", str(rows)) for field in fields
    ]
    columns = ", ".join(f'"{field.column}"' for field in fields)
    many = f"generate_series(1, {_count(model, rows)}) AS n"
    return f"INSERT INTO {model._meta.db_table} ({columns}) SELECT {', '.join(values)} FROM {many}"


def _value(cursor: Any, field: Any, expression: str | None, rows: int) -> str:
    """Return what a column gets: what is given; else the row that it must point at; else as little as may be."""
    if expression not in (None, REF):
        return str(expression)
    if field.remote_field and (expression == REF or not field.null):
        target = field.remote_field.model
        number = f"((n - 1) % {_count(target, rows)} + 1)"
        return number if _is_counted(target) else f"md5('{target._meta.db_table}' || {number})::uuid"
    if field.null:
        return "NULL"
    if isinstance(field, models.UUIDField):
        return f"md5('{field.model._meta.db_table}' || n)::uuid"
    if isinstance(field, models.DateField):
        return _SECONDS_AGO
    if field.primary_key or (isinstance(field, models.IntegerField) and not field.has_default()):
        return "n"
    value = {} if field.name == "credentials" else field.get_default()
    default = field.get_db_prep_save(value, connection)
    return str(cursor.mogrify("%s", [default]))
