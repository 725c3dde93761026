"""Every identity's home is the customer that it was made with; whoever proved a phone number first holds it."""

from django.db import migrations

from customers.names import name_key

HOMES = "UPDATE customers_identity SET home_id = customer_id WHERE home_id IS NULL"
PHONES = """
INSERT INTO customers_phoneholder (value, identity_id, created_at)
SELECT DISTINCT ON (value) left(value, 32), identity_id, created_at FROM customers_identityalias
 WHERE type = 'phone' ORDER BY value, created_at, id
ON CONFLICT DO NOTHING
"""


def fill_name_keys(apps, schema_editor):
    identities = apps.get_model("customers", "Identity").objects
    some = []
    for identity in identities.exclude(display_name="").only("display_name").iterator(2000):
        identity.name_key = name_key(identity.display_name)
        some.append(identity)
        if len(some) == 2000:
            identities.bulk_update(some, ["name_key"])
            some = []
    identities.bulk_update(some, ["name_key"])


class Migration(migrations.Migration):
    dependencies = [("customers", "0002_one_customer")]

    operations = [
        migrations.RunSQL(HOMES, migrations.RunSQL.noop),
        migrations.RunSQL(PHONES, migrations.RunSQL.noop),
        migrations.RunPython(fill_name_keys, migrations.RunPython.noop),
    ]
