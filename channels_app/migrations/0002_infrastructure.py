"""What PostgreSQL carries besides our rows, unless settings point elsewhere: the task queue (PGMQ) and the cache.

It belongs to no feature. It is here because this is the lowest app that runs processes, so that whoever migrates
anything of them has it. Running it on a database that has either already (an extension, `createcachetable`) is harmless.
"""

from django.db import migrations
from pgmq import get_embedded_install_sql

#: As Django's own `createcachetable` makes it.
CACHE_TABLE = """
CREATE TABLE IF NOT EXISTS django_cache (
    cache_key varchar(255) NOT NULL PRIMARY KEY,
    value text NOT NULL,
    expires timestamp with time zone NOT NULL
);
CREATE INDEX IF NOT EXISTS django_cache_expires ON django_cache (expires);
"""


def install_queue(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('pgmq.meta') IS NOT NULL")
        if not cursor.fetchone()[0]:
            cursor.execute(get_embedded_install_sql())


class Migration(migrations.Migration):
    dependencies = [("channels_app", "0001_initial")]

    operations = [
        migrations.RunPython(install_queue, migrations.RunPython.noop, elidable=False),
        migrations.RunSQL(CACHE_TABLE, migrations.RunSQL.noop),
    ]
