"""Notices are no longer told by participants of their own. The way back gives the column, not what was in it."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("connect_bridge", "0014_notices_by_time"),
    ]

    operations = [
        migrations.RemoveField(model_name="notice", name="participant_id"),
    ]
