"""What the workers do for the copy in DynamoDB."""

from __future__ import annotations

from celery import shared_task

from connect_bridge.projection import copy

#: Seconds of one run; the next one goes on. Far below the broker's visibility timeout.
PROJECTS_FOR = 30.0


@shared_task(name="connect_bridge.tasks.project")  # type: ignore[untyped-decorator] # celery is not typed
def project() -> None:
    """Copy to DynamoDB what changed, if settings name a table. Beat runs it; one runs at a time."""
    copy.project(PROJECTS_FOR)
