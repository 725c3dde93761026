from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Without a transaction, so that messages go on being stored while the index is made."""

    atomic = False
    dependencies = [
        ("connect_bridge", "0016_who_is_in_the_chat"),
    ]

    operations = [
        migrations.AlterField(
            model_name="replay",
            name="verb",
            field=models.CharField(
                choices=[
                    ("retry", "delivery to customers, again"),
                    ("reprocess", "webhooks, read again"),
                    ("relay", "customers' messages, to Amazon Connect again"),
                ],
                max_length=16,
            ),
        ),
        AddIndexConcurrently(
            model_name="message",
            index=models.Index(
                fields=["settled_at"],
                name="message_not_taken",
                condition=models.Q(direction="in", status="failed"),
            ),
        ),
    ]
