"""The rows of the dashboards' bench, as SQL."""

from __future__ import annotations

POPULATE = """
SET session_replication_role = replica;
SET synchronous_commit TO off;
INSERT INTO channels_app_channelaccount (id, kind, name, address, credentials, enabled, when_uncertain,
       connect_instance_id, connect_contact_flow_id, holding_reply, attributes, created_at, updated_at)
SELECT gen_random_uuid(), (ARRAY['whatsapp', 'messenger', 'twitter'])[1 + n %% 3], 'account ' || n, n::text, '', true,
       'ask', '', '', '', '{}', now(), now() FROM generate_series(1, 6) AS n;
CREATE TEMP TABLE account AS
SELECT id, kind, row_number() OVER (ORDER BY address) - 1 AS n FROM channels_app_channelaccount;
CREATE TEMP TABLE person AS
SELECT gen_random_uuid() AS customer, gen_random_uuid() AS identity, gen_random_uuid() AS conversation, p AS n,
       a.id AS account, a.kind FROM generate_series(0, %(people)s - 1) AS p JOIN account a ON a.n = p %% 6;
INSERT INTO customers_customer (id, display_name, locale, created_at)
SELECT customer, 'Customer ' || n, 'en', now() FROM person;
INSERT INTO customers_identity (id, customer_id, home_id, kind, issuer, external_id, display_name, handle, picture_url,
                                locale, created_at)
SELECT identity, customer, customer, kind, '', n::text, 'Customer ' || n, '', '', 'en', now() FROM person;
CREATE TEMP TABLE chat AS
SELECT gen_random_uuid() AS id, p.conversation, p.account, c AS n, c / %(people)s AS turn, c %% 40 AS agent,
       c %% 8 AS queue, now() - interval '%(days)s days' * (1 - (c::float8 / %(chats)s))
           + interval '1 second' * (7200 * sin(c)) - interval '3 hours' AS at
  FROM generate_series(0, %(chats)s - 1) AS c JOIN person p ON p.n = c %% %(people)s;
INSERT INTO connect_bridge_conversation (id, account_id, identity_id, recipient, last_sequence, active, fence,
                                         created_at, last_inbound_at, last_message_at)
SELECT conversation, account, identity, n::text, 1000000, false, 0, now(), now() - interval '1 day' * (n %% 90), now()
  FROM person;
INSERT INTO connect_bridge_contact (id, conversation_id, state, instance_id, flow_id, initial_contact_id, contact_id,
       participant_id, participant_token, connection_token, agent_name, bot, requested_at, started_at, connected_at,
       ended_at, reason)
SELECT id, conversation, 'ended', 'i', 'f', id::text, id::text, '', '', '', 'Agent ' || agent, false, at, at, at,
       at + interval '20 minutes', '' FROM chat;
INSERT INTO connect_bridge_contactevent (contact_id, item_id, kind, name, at)
SELECT id, 'j', 'joined', 'Agent ' || agent, at + interval '90 seconds' FROM chat;
INSERT INTO analytics_contactdetail (contact_id, queue, queued_at, agent, agent_at, reason)
SELECT id, 'Queue ' || queue, at + interval '5 seconds', 'Agent ' || agent, at + interval '90 seconds', '' FROM chat;
INSERT INTO connect_bridge_message (id, conversation_id, contact_id, sequence, direction, role, author, content_type,
       text, original, status, error_code, error_detail, provider_message_id, relayed, attempts, occurred_at,
       created_at, relayed_at, settled_at)
SELECT gen_random_uuid(), c.conversation, c.id, c.turn * %(each)s + m,
       CASE WHEN m %% 2 = 0 THEN 'in' ELSE 'out' END,
       CASE WHEN m %% 2 = 0 THEN 'CUSTOMER' WHEN m = 1 THEN 'CUSTOM_BOT' ELSE 'AGENT' END, '', 'text/plain', 'words',
       CASE WHEN m %% 2 = 0 THEN '{"event": "message", "text": "words"}'::jsonb END,
       CASE WHEN m %% 2 = 0 THEN 'relayed' WHEN (c.n + m) %% 97 = 0 THEN 'failed' ELSE 'delivered' END, '', '', '', 0,
       1, c.at + interval '95 seconds' * m, c.at + interval '95 seconds' * m,
       CASE WHEN m %% 2 = 0 THEN c.at + interval '95 seconds' * m + interval '40 ms' END,
       CASE WHEN m %% 2 = 1 THEN c.at + interval '95 seconds' * m + interval '300 ms' END
  FROM chat c CROSS JOIN generate_series(0, %(each)s - 1) AS m;
INSERT INTO analytics_sentiment (message_id, state, language, language_from, label, score, positive, negative, neutral,
       mixed, engine, model, phrases_due, attempts, due_at, scored_at, error)
SELECT m.id, 'scored', (ARRAY['en', 'es', 'de', 'fr'])[1 + m.sequence %% 4], 'channel',
       CASE WHEN m.sequence %% 5 = 0 THEN 'negative' ELSE 'neutral' END,
       CASE WHEN m.sequence %% 5 = 0 THEN -8000 ELSE 1000 END, 0.1, 0.2, 0.7, 0, 'bench', 'bench', false, 1, now(),
       now(), '' FROM connect_bridge_message m WHERE m.direction = 'in';
INSERT INTO analytics_phrase (message_id, text)
SELECT message_id, 'phrase ' || (abs(hashtext(message_id::text)) %% 200) FROM analytics_sentiment
 WHERE label = 'negative' AND abs(hashtext(message_id::text)) %% 4 = 0;
SET session_replication_role = DEFAULT;
INSERT INTO analytics_change (conversation_id, contact_id, at)
SELECT conversation_id, id, now() FROM connect_bridge_contact ORDER BY requested_at;
ANALYZE;
"""
#: The same as the volume panel asks, without rollups.
RAW = """
SELECT date_trunc('day', m.created_at, 'UTC'), a.kind, count(*) FROM connect_bridge_message m
  JOIN connect_bridge_conversation c ON c.id = m.conversation_id
  JOIN channels_app_channelaccount a ON a.id = c.account_id
 WHERE m.direction = 'in' AND m.created_at > now() - interval '28 days' GROUP BY 1, 2
"""
#: What bridges do to a message, as often as the rate asks: stored, relayed or sent, delivered.
LIVE = """
INSERT INTO connect_bridge_message (id, conversation_id, contact_id, sequence, direction, role, author, content_type,
       text, original, status, error_code, error_detail, provider_message_id, relayed, attempts, occurred_at,
       created_at)
SELECT gen_random_uuid(), t.conversation_id, t.id, nextval('bench_sequence'),
       CASE WHEN n %% 2 = 0 THEN 'in' ELSE 'out' END,
       CASE WHEN n %% 2 = 0 THEN 'CUSTOMER' ELSE 'AGENT' END, '', 'text/plain', 'words',
       CASE WHEN n %% 2 = 0 THEN '{"event": "message", "text": "words"}'::jsonb END, 'stored', '', '', '', 0, 0,
       now(), now()
  FROM generate_series(1, %(number)s) AS n
  JOIN LATERAL (SELECT id, conversation_id FROM bench_open ORDER BY place OFFSET (n * 7) %% %(open)s LIMIT 1) t ON true
RETURNING id
"""
SETTLE = """
UPDATE connect_bridge_message SET status = CASE direction WHEN 'in' THEN 'relayed' ELSE 'accepted' END,
       relayed_at = now(), settled_at = CASE direction WHEN 'out' THEN now() END WHERE id = ANY(%s)
"""
#: Chats in which people write while it is measured.
OPEN = """
CREATE TABLE bench_open AS
SELECT id, conversation_id, row_number() OVER () AS place
  FROM (SELECT DISTINCT ON (conversation_id) id, conversation_id FROM connect_bridge_contact
         ORDER BY conversation_id, requested_at DESC) latest LIMIT %(open)s
"""
LAG = "SELECT count(*), COALESCE(extract(epoch FROM now() - min(at)), 0)::float8 FROM analytics_change"
