"""What the copy in DynamoDB still has to take over."""

from __future__ import annotations

from django.db import models


class Projection(models.Model):
    """The table in DynamoDB for which changes of messages are noted; no name, no notes. One row.

    `complete`: what was there before is noted, too.
    """

    table_name = models.CharField(max_length=255, blank=True)
    complete = models.BooleanField(default=False)
    since = models.DateTimeField()

    def __str__(self) -> str:
        return self.table_name or "off"


class ProjectionNote(models.Model):
    """A message whose copy in DynamoDB is not up to date. A trigger writes it; `version` grows with every change.

    No foreign key: also what was deleted is noted, with the place where its copy is.
    """

    message_id = models.UUIDField(primary_key=True)
    conversation = models.UUIDField()
    sequence = models.BigIntegerField()
    version = models.BigIntegerField(db_index=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"note of {self.message_id}"
