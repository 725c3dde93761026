from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """Asides that no chat was open for. Choices alone: the database is not touched."""

    dependencies = [("connect_bridge", "0017_relay_again")]

    operations = [
        migrations.AlterField(
            model_name="message",
            name="status",
            field=models.CharField(
                choices=[
                    ("stored", "Stored"),
                    ("noted", "Noted"),
                    ("relayed", "Relayed"),
                    ("accepted", "Accepted"),
                    ("delivered", "Delivered"),
                    ("read", "Read"),
                    ("failed", "Failed"),
                    ("uncertain", "Uncertain"),
                ],
                default="stored",
                max_length=16,
            ),
        ),
    ]
