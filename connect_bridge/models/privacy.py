"""How far personal data was removed because it had been kept long enough."""

from __future__ import annotations

from django.db import models

#: What stands where something was said, after a person was erased and after the words were kept long enough.
ERASED = "[erased]"
EXPIRED = "[removed: kept long enough]"


class RetentionMark(models.Model):
    """Up to when the data of one class has been emptied."""

    data_class = models.CharField(max_length=16, primary_key=True)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.data_class} until {self.until:%Y-%m-%d}"
