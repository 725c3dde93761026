"""The statements that empty what was kept long enough: webhooks, their events, calls.

Whoever runs them chooses the rows. `ids` are those of the table that is emptied, for EMPTY_EVENTS of the deliveries.
"""

from __future__ import annotations

EMPTY_DELIVERIES = """
UPDATE channels_app_webhookdelivery SET body = '', headers = '{}', query = '' WHERE id = ANY(%(ids)s)
"""
#: What still waits to be routed keeps its event.
EMPTY_EVENTS = """
UPDATE channels_app_inboundentry SET event = '{}'
 WHERE delivery_id = ANY(%(ids)s) AND state IN ('done', 'quarantined')
"""
DELETE_CALLS = "DELETE FROM channels_app_channellog WHERE id = ANY(%(ids)s)"
