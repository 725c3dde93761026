"""Who changed what, when and why: a row for each change of a recorded model, with what differs, never changed later.

Built on django-simple-history, whose middleware knows who asks. Outside requests it is whoever runs the process.
"""

from __future__ import annotations

import getpass
import json
import socket
from functools import cache
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import migrations, models
from django.dispatch import receiver
from simple_history import register
from simple_history.models import HistoricalRecords
from simple_history.signals import pre_create_historical_record

from people.typed import storable

#: A recorded instance may carry this: what was done to it that no field shows, in words. The next save takes it.
NOTES = "audit_notes"
_FOUND = "_audit_found"
_LONGEST_REASON = 300


class Differs(models.Model):
    """What a row of a history tells besides the state itself: {field: [was, is]}, and notes in words."""

    differs = models.JSONField(default=dict)
    notes = models.JSONField(default=list)

    class Meta:
        abstract = True


class Recorded(HistoricalRecords):  # type: ignore[misc] # the library is not typed
    """A history with differences. A save that changes nothing, and of which there is nothing to say, leaves no row."""

    def __init__(self, **options: Any) -> None:
        options |= {
            "bases": [Differs],
            "history_change_reason_field": models.CharField(max_length=_LONGEST_REASON, blank=True, default=""),
            "history_user_id_field": models.CharField(max_length=150, blank=True, default=""),
            "history_user_getter": _name_in,
            "history_user_setter": _set_name,
            "get_user": _who,
        }
        super().__init__(**options)

    def get_change_reason_for_object(self, instance: Any, history_type: str, using: Any) -> str:
        reason = super().get_change_reason_for_object(instance, history_type, using)
        return str(reason or "")[:_LONGEST_REASON]

    def create_historical_record(self, instance: Any, history_type: str, using: Any = None) -> None:
        notes = list(instance.__dict__.pop(NOTES, ()))
        differs = self._differences(instance, notes) if history_type == "~" else {}
        reason = self.get_change_reason_for_object(instance, history_type, using)
        if history_type == "~" and not (differs or notes or reason):
            return
        setattr(instance, _FOUND, (differs, notes))
        super().create_historical_record(instance, history_type, using)

    def _differences(self, instance: Any, notes: list[str]) -> dict[str, list[Any]]:
        rows = getattr(instance, self.manager_name)
        former: Any = rows.order_by("-history_date", "-history_id").first()
        if former is None:
            notes.append("the first change on record: what it was before is not known")
            return {}
        names: list[str] = [field.attname for field in self.fields_included(instance)]
        states = {name: [_plain(getattr(former, name)), _plain(getattr(instance, name))] for name in names}
        return {name: pair for name, pair in states.items() if pair[0] != pair[1]}


def record(model: type[models.Model], *, app: str, **options: Any) -> None:
    """Keep a history of a model that is another package's; `app` holds its table."""
    register(model, app=app, records_class=Recorded, **options)


def note(instance: models.Model, what: str) -> None:
    """Put into the history, with the next save, what no field shows: that a secret was replaced, never the secret."""
    instance.__dict__.setdefault(NOTES, []).append(what)


def because(instance: models.Model, reason: str) -> None:
    """Say why, for the history; the next save takes it."""
    instance._change_reason = storable(reason)  # type: ignore[attr-defined]  # noqa: SLF001 - the library's way in


def append_only(table: str) -> migrations.RunSQL:
    """Return the migration step after which rows of a table can be added, and neither changed nor deleted."""
    return migrations.RunSQL(
        f"""
        CREATE OR REPLACE FUNCTION parley_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION '% keeps what was written: rows are only added', TG_TABLE_NAME; END $$;
        CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table}
               FOR EACH ROW EXECUTE FUNCTION parley_append_only();
        """,
        f"DROP TRIGGER append_only ON {table}",
    )


@receiver(pre_create_historical_record)
def _add_differences(instance: Any, history_instance: Any, **_: Any) -> None:
    history_instance.differs, history_instance.notes = instance.__dict__.pop(_FOUND, ({}, []))


def _who(request: Any = None, **_: Any) -> str:
    return str(request.user.get_username()) if request is not None else runs_this_process()


@cache
def runs_this_process() -> str:
    """Return who runs this process, as far as the machine knows: user@host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container without an entry for the user
        user = "unknown"
    return f"{user}@{socket.gethostname()}"[:150]


def _name_in(row: Any) -> str:
    return str(row.history_user_id)


def _set_name(row: Any, name: Any) -> None:
    row.history_user_id = str(name or "")[:150]


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, cls=DjangoJSONEncoder))
