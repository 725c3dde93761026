"""A phrase that goes, because its words are erased, is no longer counted either."""

from django.db import migrations

TRIGGER = """
CREATE TRIGGER analytics_of_message_stored_delete AFTER DELETE ON analytics_phrase
REFERENCING OLD TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION analytics_of_message_stored()
"""


class Migration(migrations.Migration):
    dependencies = [("analytics", "0002_changes")]

    operations = [
        migrations.RunSQL(TRIGGER, "DROP TRIGGER analytics_of_message_stored_delete ON analytics_phrase"),
    ]
