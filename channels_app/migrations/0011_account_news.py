from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    """What a provider tells of an account by webhook, e.g. that another app answers customers of the same Page."""

    dependencies = [("channels_app", "0010_calls_by_time")]

    operations = [
        migrations.AddField(
            model_name="accounthealth",
            name="news",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="What the provider last told of the account.",
                max_length=200,
            ),
        ),
        migrations.AddField(
            model_name="accounthealth", name="news_at", field=models.DateTimeField(blank=True, null=True)
        ),
    ]
