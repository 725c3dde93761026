"""Keeps what opens a page by itself out of the logs: whoever reads those must not get in by them."""

from __future__ import annotations

import logging
import re

#: Paths whose next part is a credential: the page beside a chat, a file to fetch, a reset, the proof of an address.
_TELLING = re.compile(r"(/(?:agent|media|accounts/(?:password/reset/key|confirm-email))/)[^/\s\"'?]+")


def masked(text: str) -> str:
    """Return a text with the credential of each such path left out."""
    return _TELLING.sub(r"\1…", text)


class MaskPaths(logging.Filter):
    """Masks such paths in what Django logs of requests."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = masked(str(record.msg))
        if isinstance(record.args, tuple):
            record.args = tuple(masked(one) if isinstance(one, str) else one for one in record.args)
        return True
