"""Empties the tables of the channel layer that earlier versions used: what killed processes had left there."""

from __future__ import annotations

from django.db import migrations

# Where Redis was the channel layer there are none. Nobody misses the rows: they were of pages that were open.
EMPTY = """
DO $$
BEGIN
  IF to_regclass('channels_postgres_groupchannel') IS NOT NULL THEN
    TRUNCATE channels_postgres_groupchannel, channels_postgres_message;
  END IF;
END
$$
"""


class Migration(migrations.Migration):
    dependencies = [("channels_app", "0011_account_news")]

    operations = [migrations.RunSQL(EMPTY, migrations.RunSQL.noop)]
