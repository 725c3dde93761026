"""The statements by which whoever routes the stored events writes down what became of each, in its own transaction."""

from __future__ import annotations

#: NOTIFY channel, without payload: events came in. A hint; whoever misses it polls.
INTAKE_CHANNEL = "parley_intake"

SETTLE = """
UPDATE channels_app_inboundentry SET state = %(state)s, outcome = %(outcome)s, done_at = now() WHERE id = %(id)s
"""
#: It is about something that has not come yet.
PARK = """
UPDATE channels_app_inboundentry SET state = 'parked', outcome = 'waits for its message', due_at = now() + %(wait)s
 WHERE id = %(id)s
"""
UNPARK = """
UPDATE channels_app_inboundentry SET state = 'pending' WHERE id IN (
    SELECT id FROM channels_app_inboundentry WHERE state = 'parked' AND due_at <= now() FOR UPDATE SKIP LOCKED)
"""
#: It came back from before its sender was erased: nothing of it is kept but that it was there.
FORGET = """
WITH entry AS (
    UPDATE channels_app_inboundentry SET state = 'done', outcome = 'its sender was erased', done_at = now(),
           event = '{}', sender = 'erased' WHERE id = %(id)s RETURNING delivery_id
)
UPDATE channels_app_webhookdelivery d SET body = '', headers = '{}', query = '' FROM entry e WHERE d.id = e.delivery_id
"""
#: It could not be routed: after `most` attempts it is set aside.
NOTE_FAILURE = """
UPDATE channels_app_inboundentry SET attempts = attempts + 1, outcome = %(outcome)s,
       state = CASE WHEN attempts + 1 >= %(most)s THEN 'quarantined' ELSE state END WHERE id = %(id)s
"""
#: What a provider reports of our account. Once a minute at most: an account that another app answers for tells it with
#: every word of its customers.
NOTE_ACCOUNT_NEWS = """
INSERT INTO channels_app_accounthealth AS h (account_id, points, news, news_at)
SELECT %(account)s::uuid, '[]', %(news)s::text, now()
 WHERE NOT EXISTS (SELECT 1 FROM channels_app_accounthealth WHERE account_id = %(account)s::uuid
                      AND news = %(news)s::text AND news_at > now() - interval '1 minute')
ON CONFLICT (account_id) DO UPDATE SET news = EXCLUDED.news, news_at = EXCLUDED.news_at
"""
