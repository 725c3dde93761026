"""Triggers that note which chats changed, in the transaction of the change itself, whoever writes: see ADR 20.

Statement by statement, not row by row: a batch of fifty messages costs one insert.
"""

from django.db import migrations

FUNCTIONS = """
CREATE FUNCTION analytics_message_stored() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO analytics_change (conversation_id, contact_id, at)
    SELECT DISTINCT conversation_id, contact_id, now() FROM new_rows;
    RETURN NULL;
END $$;

CREATE FUNCTION analytics_message_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO analytics_change (conversation_id, contact_id, at)
    SELECT DISTINCT c.conversation_id, c.contact_id, now()
      FROM new_rows n JOIN old_rows o ON o.id = n.id
      CROSS JOIN LATERAL (VALUES (n.conversation_id, n.contact_id), (o.conversation_id, o.contact_id))
           AS c (conversation_id, contact_id)
     WHERE (n.status, n.contact_id, n.relayed_at, n.settled_at, n.error_code)
           IS DISTINCT FROM (o.status, o.contact_id, o.relayed_at, o.settled_at, o.error_code);
    RETURN NULL;
END $$;

CREATE FUNCTION analytics_contact_stored() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO analytics_change (conversation_id, contact_id, at)
    SELECT conversation_id, id, now() FROM new_rows;
    RETURN NULL;
END $$;

CREATE FUNCTION analytics_contact_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO analytics_change (conversation_id, contact_id, at)
    SELECT n.conversation_id, n.id, now() FROM new_rows n JOIN old_rows o ON o.id = n.id
     WHERE (n.state, n.agent_name, n.ended_at, n.connected_at, n.requested_at)
           IS DISTINCT FROM (o.state, o.agent_name, o.ended_at, o.connected_at, o.requested_at);
    RETURN NULL;
END $$;

CREATE FUNCTION analytics_of_contact_stored() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO analytics_change (conversation_id, contact_id, at)
    SELECT DISTINCT c.conversation_id, c.id, now()
      FROM new_rows n JOIN connect_bridge_contact c ON c.id = n.contact_id;
    RETURN NULL;
END $$;

CREATE FUNCTION analytics_sentiment_settled() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO analytics_change (conversation_id, contact_id, at)
    SELECT DISTINCT m.conversation_id, m.contact_id, now()
      FROM new_rows n JOIN connect_bridge_message m ON m.id = n.message_id WHERE n.state <> 'pending';
    RETURN NULL;
END $$;

CREATE FUNCTION analytics_of_message_stored() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO analytics_change (conversation_id, contact_id, at)
    SELECT DISTINCT m.conversation_id, m.contact_id, now()
      FROM new_rows n JOIN connect_bridge_message m ON m.id = n.message_id;
    RETURN NULL;
END $$;
"""
#: (table, when, transition tables, function)
TRIGGERS = [
    ("connect_bridge_message", "INSERT", "NEW TABLE AS new_rows", "analytics_message_stored"),
    ("connect_bridge_message", "UPDATE", "OLD TABLE AS old_rows NEW TABLE AS new_rows", "analytics_message_changed"),
    ("connect_bridge_contact", "INSERT", "NEW TABLE AS new_rows", "analytics_contact_stored"),
    ("connect_bridge_contact", "UPDATE", "OLD TABLE AS old_rows NEW TABLE AS new_rows", "analytics_contact_changed"),
    ("connect_bridge_contactevent", "INSERT", "NEW TABLE AS new_rows", "analytics_of_contact_stored"),
    ("analytics_contactdetail", "INSERT", "NEW TABLE AS new_rows", "analytics_of_contact_stored"),
    ("analytics_contactdetail", "UPDATE", "NEW TABLE AS new_rows", "analytics_of_contact_stored"),
    ("analytics_sentiment", "INSERT", "NEW TABLE AS new_rows", "analytics_sentiment_settled"),
    ("analytics_sentiment", "UPDATE", "NEW TABLE AS new_rows", "analytics_sentiment_settled"),
    ("analytics_phrase", "INSERT", "NEW TABLE AS new_rows", "analytics_of_message_stored"),
]


def _create(table, when, tables, function):
    return (
        f"CREATE TRIGGER {function}_{when.lower()} AFTER {when} ON {table} REFERENCING {tables} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
    )


#: What was there before this app is counted, too.
ALL_CHATS = """
INSERT INTO analytics_change (conversation_id, contact_id, at)
SELECT conversation_id, id, now() FROM connect_bridge_contact
UNION ALL
SELECT DISTINCT conversation_id, contact_id, now() FROM connect_bridge_message WHERE contact_id IS NULL
"""


class Migration(migrations.Migration):
    dependencies = [("analytics", "0001_initial")]

    operations = [
        migrations.RunSQL(
            FUNCTIONS,
            "".join(f"DROP FUNCTION {name}() CASCADE;" for name in sorted({function for *_, function in TRIGGERS})),
        ),
        *[
            migrations.RunSQL(_create(*trigger), f"DROP TRIGGER {trigger[3]}_{trigger[1].lower()} ON {trigger[0]}")
            for trigger in TRIGGERS
        ],
        migrations.RunSQL(ALL_CHATS, migrations.RunSQL.noop),
    ]
