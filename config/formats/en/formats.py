"""How pages write moments: to the second, because one follows a message by them."""

from __future__ import annotations

DATETIME_FORMAT = SHORT_DATETIME_FORMAT = "Y-m-d H:i:s"
DATE_FORMAT = SHORT_DATE_FORMAT = "Y-m-d"
