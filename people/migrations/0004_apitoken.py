import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

#: What Django REST Framework's tokens become: digests that end in time. They were made without proof of a second factor.
TAKE_OVER = """
DO $$ BEGIN
    IF to_regclass('authtoken_token') IS NOT NULL THEN
        INSERT INTO people_apitoken (owner_id, name, digest, shown, proven, made_at, made_by, expires_at, ended_because)
        SELECT user_id, 'made before tokens had names', encode(sha256(convert_to(key, 'UTF8')), 'hex'), left(key, 4),
               false, created, '', now() + make_interval(days => {days}), ''
          FROM authtoken_token;
        DELETE FROM authtoken_token;
    END IF;
END $$
"""


class Migration(migrations.Migration):
    """Taken back, the table goes and with it all tokens: what is left of one is no token, so new ones have to be made."""

    dependencies = [
        ("people", "0003_what_happens_at_the_door"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ApiToken",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100)),
                ("digest", models.CharField(editable=False, max_length=64, unique=True)),
                ("shown", models.CharField(editable=False, max_length=16, verbose_name="begins with")),
                (
                    "proven",
                    models.BooleanField(
                        default=False,
                        help_text="Or by whoever runs the machine: manage.py createtoken.",
                        verbose_name="made with a second factor",
                    ),
                ),
                ("made_at", models.DateTimeField(auto_now_add=True)),
                ("made_by", models.CharField(blank=True, max_length=150)),
                ("last_used_at", models.DateTimeField(blank=True, null=True)),
                ("expires_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("ended_because", models.CharField(blank=True, max_length=100)),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="api_tokens",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={"verbose_name": "API token", "default_permissions": ()},
        ),
        migrations.RunSQL(TAKE_OVER.format(days=settings.API_TOKEN_DAYS), migrations.RunSQL.noop),
    ]
