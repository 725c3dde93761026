"""The rates that all bridges share, as rows: who was refused by Amazon Connect slows all others down."""

from __future__ import annotations

from connect_bridge.storage.ownership import BRIDGE_TTL

#: NOTIFY channel: Amazon Connect refused a bridge's call as one too many.
RATE_CHANNEL = "parley_pace"
#: Of several bridges that are refused at the same time one slows all down, the others find that done.
SLOW_DOWN = """
WITH cut AS (
    INSERT INTO connect_bridge_connectpace AS p (instance_id, operation, rate, cut_at, until)
    VALUES (%(instance)s, %(operation)s, %(rate)s, now(), now() + make_interval(secs => %(pause)s))
    ON CONFLICT (instance_id, operation) DO UPDATE
       SET rate = CASE WHEN p.cut_at > now() - make_interval(secs => %(once_in)s) THEN p.rate
                       ELSE LEAST(EXCLUDED.rate, GREATEST(%(floor)s::float8, %(slower)s::float8 * p.rate
                            * power(%(faster)s::float8, LEAST(60, EXTRACT(EPOCH FROM now() - p.cut_at)::float8)))) END,
           cut_at = CASE WHEN p.cut_at > now() - make_interval(secs => %(once_in)s) THEN p.cut_at ELSE now() END,
           until = GREATEST(p.until, EXCLUDED.until)
    RETURNING 1
)
SELECT pg_notify(%(channel)s, '') FROM cut
"""
#: A rate that was cut more than a minute ago has grown beyond being a limit.
SHARED_RATES = f"""
SELECT instance_id, operation, rate, EXTRACT(EPOCH FROM now() - cut_at)::float8 AS age,
       GREATEST(0, EXTRACT(EPOCH FROM until - now()))::float8 AS pause,
       (SELECT count(*) FROM connect_bridge_bridge WHERE beat_at > now() - interval '{BRIDGE_TTL} seconds') AS bridges
  FROM connect_bridge_connectpace WHERE cut_at > now() - interval '1 minute' OR until > now()
"""  # noqa: S608 - a constant
