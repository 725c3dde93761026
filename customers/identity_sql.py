"""The statements that find, make and refresh an identity. Their parameters come from `person.params_of`."""

from __future__ import annotations

#: A number whose holder was silent for longer may have a new owner (the FCC lets numbers rest for 45 to 90 days): it is
#: suggested then, not merged.
HOLDS_FOR = "90 days"
#: The id that the messenger writes from first, then its aliases. More than one: the messenger says they are one person.
#: Not so when an alias leads to somebody with another number: a user id is made anew with the number, so one that comes
#: with two numbers was given wrongly, and the number counts.
FIND = """
SELECT i.id, i.customer_id, i.home_id FROM (
    SELECT id, 0 AS place FROM customers_identity
     WHERE kind = %(kind)s AND issuer = %(issuer)s AND external_id = %(external_id)s
    UNION ALL
    SELECT identity_id, 1 FROM customers_identityalias
     WHERE kind = %(kind)s AND issuer = %(issuer)s
       AND (type, value) IN (SELECT * FROM unnest(%(types)s::text[], %(values)s::text[]))
) found JOIN customers_identity i ON i.id = found.id
 GROUP BY i.id
HAVING min(place) = 0 OR cardinality(%(phones)s::text[]) = 0
    OR (SELECT COALESCE(bool_or(a.value = ANY(%(phones)s)), true) FROM customers_identityalias a
         WHERE a.identity_id = i.id AND a.type = 'phone')
 ORDER BY min(place), i.created_at
"""

#: What the messenger tells now counts; what it told before is written down where it was another. Somebody who writes
#: takes answers again, whatever they asked for before.
REFRESH = """
WITH old AS (
    SELECT id, display_name, handle, picture_url FROM customers_identity
     WHERE id = %(id)s AND external_id NOT LIKE 'erased %%' FOR NO KEY UPDATE
), changed AS (
    INSERT INTO customers_identitychange (identity_id, field, old, new, source, at)
    SELECT id, c.field, c.old, c.new, %(source)s, now() FROM old CROSS JOIN LATERAL (VALUES
           ('display_name', display_name, %(display_name)s), ('handle', handle, %(handle)s),
           ('picture_url', picture_url, %(picture_url)s)) AS c (field, old, new)
     WHERE c.new <> '' AND c.old <> '' AND c.new <> c.old
)
UPDATE customers_identity i SET last_seen_at = CASE WHEN %(seen)s THEN now() ELSE i.last_seen_at END,
       suppressed_at = CASE WHEN %(seen)s THEN NULL ELSE i.suppressed_at END,
       display_name = COALESCE(NULLIF(%(display_name)s, ''), i.display_name),
       name_key = CASE WHEN %(display_name)s <> '' THEN %(name_key)s ELSE i.name_key END,
       handle = COALESCE(NULLIF(%(handle)s, ''), i.handle),
       picture_url = COALESCE(NULLIF(%(picture_url)s, ''), i.picture_url),
       locale = COALESCE(NULLIF(%(locale)s, ''), i.locale)
  FROM old WHERE i.id = old.id
"""

NAME_CUSTOMER = """
UPDATE customers_customer c SET display_name = %(display_name)s FROM customers_identity i
 WHERE i.id = %(id)s AND c.id = i.home_id AND c.display_name = ''
"""

MAKE = """
WITH customer AS (
    INSERT INTO customers_customer (id, display_name, locale, created_at)
    VALUES (%(customer)s, %(display_name)s, %(locale)s, now()) RETURNING id
)
INSERT INTO customers_identity (id, customer_id, home_id, kind, issuer, external_id, display_name, name_key, handle,
                                picture_url, locale, created_at, last_seen_at)
SELECT %(id)s, id, id, %(kind)s, %(issuer)s, %(external_id)s, %(display_name)s, %(name_key)s, %(handle)s,
       %(picture_url)s, %(locale)s, now(), now() FROM customer
"""

#: Returns what was new. An id that regenerates with the number (WhatsApp's BSUID) is noted when it changes: the number
#: may have a new owner.
ADD_ALIASES = """
WITH given AS (
    SELECT * FROM unnest(%(types)s::text[], %(values)s::text[]) AS given (type, value)
), fresh AS (
    INSERT INTO customers_identityalias (identity_id, kind, issuer, type, value, created_at)
    SELECT %(id)s, %(kind)s, %(issuer)s, type, value, now() FROM given
    ON CONFLICT DO NOTHING RETURNING type, value
), changed AS (
    INSERT INTO customers_identitychange (identity_id, field, old, new, source, at)
    SELECT %(id)s, f.type, a.value, f.value, %(source)s, now() FROM fresh f CROSS JOIN LATERAL (
        SELECT value FROM customers_identityalias a WHERE a.identity_id = %(id)s AND a.type = f.type
         ORDER BY a.id DESC LIMIT 1) a
)
SELECT type, value FROM fresh
"""
ADD_HINTS = """
INSERT INTO customers_identityhint (identity_id, type, value, created_at)
SELECT %(id)s, type, value, now() FROM unnest(%(types)s::text[], %(values)s::text[]) AS given (type, value)
ON CONFLICT DO NOTHING
"""
#: The first to bring a number holds it. Who comes second, even at the same moment, waits here and finds the first.
HOLD = """
INSERT INTO customers_phoneholder (value, identity_id, created_at) VALUES (%(value)s, %(id)s, now())
ON CONFLICT (value) DO NOTHING
"""
HELD = f"""
SELECT i.id, i.home_id FROM customers_phoneholder p JOIN customers_identity i ON i.id = p.identity_id
 WHERE p.value = %(value)s AND i.id <> %(id)s AND i.last_seen_at > now() - interval '{HOLDS_FOR}'
"""  # noqa: S608 - a constant
HOME = "SELECT home_id FROM customers_identity WHERE id = %(id)s"

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(%(kind)s || ' ' || %(issuer)s, 0))"
ERASED_BEFORE = "SELECT 1 FROM customers_tombstone WHERE digest = ANY(%(digests)s) AND erased_at > %(written)s"
