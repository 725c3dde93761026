"""What tests of rollups that draw many histories share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction


@contextmanager
def undone() -> Iterator[None]:
    """Leave nothing in the database."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
