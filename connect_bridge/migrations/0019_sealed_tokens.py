"""Encrypt the tokens of open chats. Ended chats have none, so these are few rows, whatever the table's size."""

from django.db import migrations

import channels_app.fields
from people.encryption import decrypt_text, encrypt_text

BATCH = 500
COLUMNS = ("participant_token", "connection_token")


def _rewrite(schema_editor, translate, held):
    """Write each token anew, a batch at a time, unless it was changed or emptied meanwhile."""
    with schema_editor.connection.cursor() as cursor:
        for column in COLUMNS:
            after = "00000000-0000-0000-0000-000000000000"
            while True:
                cursor.execute(
                    f"SELECT id, {column} FROM connect_bridge_contact WHERE {column} <> '' AND {held} AND id > %s"
                    f" ORDER BY id LIMIT {BATCH}".format(column=column),
                    [after],
                )
                rows = cursor.fetchall()
                if not rows:
                    break
                cursor.executemany(
                    f"UPDATE connect_bridge_contact SET {column} = %s WHERE id = %s AND {column} = %s",
                    [(translate(token), key, token) for key, token in rows],
                )
                after = rows[-1][0]


def encrypt(apps, schema_editor):
    _rewrite(schema_editor, encrypt_text, "{column} NOT LIKE 'gAAAA%%'")


def decrypt(apps, schema_editor):
    _rewrite(schema_editor, decrypt_text, "{column} LIKE 'gAAAA%%'")


class Migration(migrations.Migration):
    dependencies = [("connect_bridge", "0018_noted")]

    operations = [
        migrations.AlterField("contact", "participant_token", channels_app.fields.EncryptedTextField(blank=True)),
        migrations.AlterField("contact", "connection_token", channels_app.fields.EncryptedTextField(blank=True)),
        migrations.RunPython(encrypt, decrypt),
    ]
