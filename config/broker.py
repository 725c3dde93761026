"""How the task queue's transport reaches PostgreSQL."""

from __future__ import annotations

from psycopg.conninfo import conninfo_to_dict, make_conninfo

#: What pgmq-py carries over from a connection string. It drops everything else.
CARRIED = ("host", "port", "dbname", "user")


def pgmq_conninfo(broker: str) -> str:
    """Return the `conn_string` transport option for a pgmq:// broker, such that nothing of its URL is lost.

    pgmq-py 1.1 reads a connection string into five fields and joins those, unquoted, into another one: a socket folder
    in a URL stays percent-encoded, a password with a space or quote breaks, and `sslmode` is forgotten. So every field
    is quoted once more than it needs, and all other options ride behind the last field.
    """
    given = {key: str(value) for key, value in conninfo_to_dict("postgresql" + broker[broker.index(":") :]).items()}
    carried = {key: _quoted(given.pop(key)) for key in CARRIED if key in given}
    password = _quoted(given.pop("password", "unused"))  # it insists on one; a server that asks for none ignores it
    return make_conninfo(**carried, password=" ".join([password, make_conninfo(**given)]).strip())


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
