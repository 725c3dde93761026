from django.db import migrations

from people.history import append_only


class Migration(migrations.Migration):
    dependencies = [
        ("people", "0004_apitoken"),
    ]

    operations = [
        append_only("people_securityevent"),
    ]
