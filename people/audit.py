"""Write down who read what, and list who changed what, in one order over all recorded models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import Any

from django.apps import apps
from django.contrib.admin.utils import quote
from django.db.models import Model
from django.urls import NoReverseMatch, reverse

from people.models import TranscriptRead
from people.privacy import Sight, sight_of

VERBS = {"+": "added", "~": "changed", "-": "deleted"}


@dataclass(frozen=True, slots=True)
class Difference:
    field: str
    was: str
    now: str


@dataclass(frozen=True, slots=True)
class Change:
    """One row of a history, for people. `id` is the row's, within its model."""

    id: int
    at: datetime
    by: str
    verb: str
    model: str
    object: str
    address: str
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]
    reason: str
    revertible: bool


def note_read(user: Any, what: str, ids: Iterable[object]) -> None:
    """Write down that somebody is shown these rows' words, whole or redacted; nothing for whoever sees none."""
    if sight_of(user) is not Sight.NONE:
        rows = [TranscriptRead(by=user.get_username(), what=what, object_id=str(object_key)[:64]) for object_key in ids]
        TranscriptRead.objects.bulk_create(rows)


def recorded_models() -> list[type[Model]]:
    """Return the models that keep a history, by name."""
    recorded = [model for model in apps.get_models() if hasattr(model._meta, "simple_history_manager_attribute")]
    return sorted(recorded, key=lambda model: str(model._meta.verbose_name))


def latest(most: int, *, before: datetime | None = None, by: str = "", model: str = "") -> list[Change]:
    """Return the latest changes, the newest first: one query for each recorded model."""
    chosen = [recorded for recorded in recorded_models() if model in ("", recorded._meta.label_lower)]
    rows = (_changes(recorded, most, before, by) for recorded in chosen)
    return list(islice(merge(*rows, key=lambda change: change.at, reverse=True), most))


def _changes(model: Any, most: int, before: datetime | None, by: str) -> Iterator[Change]:
    rows = model.history.order_by("-history_date", "-history_id")
    if before is not None:
        rows = rows.filter(history_date__lt=before)
    if by:
        rows = rows.filter(history_user_id=by)
    for row in rows[:most]:
        yield change_of(model, row)


def change_of(model: Any, row: Any) -> Change:
    """Return one history row as people read it."""
    names = {field.attname: str(field.verbose_name) for field in model._meta.concrete_fields}
    key = getattr(row, model._meta.pk.attname)
    return Change(
        id=row.history_id,
        at=row.history_date,
        by=row.history_user_id,
        verb=VERBS[row.history_type],
        model=str(model._meta.verbose_name),
        object=_title(row) or str(key),
        address=_address(model, key),
        differences=tuple(
            Difference(names.get(name, name), _shown(was), _shown(now)) for name, (was, now) in row.differs.items()
        ),
        notes=tuple(row.notes),
        reason=row.history_change_reason or "",
        revertible=bool(row.differs),
    )


def _title(row: Any) -> str:
    return next((str(getattr(row, name)) for name in ("name", "username", "title") if getattr(row, name, "")), "")


def _address(model: type[Model], key: Any) -> str:
    try:
        return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_history", args=[quote(str(key))])
    except NoReverseMatch:
        return ""


def _shown(value: Any) -> str:
    return "—" if value in (None, "") else str(value)
