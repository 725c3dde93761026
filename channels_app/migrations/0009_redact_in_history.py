from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("channels_app", "0008_hours_and_replies"),
    ]

    operations = [
        migrations.AddField(
            model_name="historicalchannelaccount",
            name="redact",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Card, bank account and social security numbers that customers write are replaced before anything is stored. Agents do not see them either.",
                verbose_name="take out card numbers",
            ),
        ),
    ]
