"""The composition root. Importing it makes our Celery application the one that `shared_task` and `.delay()` mean."""

from __future__ import annotations

from config.celery import app as celery_app

__all__ = ["celery_app"]
