"""What the bridge tells the apps above, after the commit. A receiver that fails harms nobody.

No signal is promised: a process may die between the commit and the signal. What must happen reads the database.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django.dispatch import Signal

log = logging.getLogger(__name__)


class CommittedSignal(Signal):
    """A signal to be sent by `send_robust()`, which never raises.

    Django would log a failing receiver's exception with its text and locals, and a message's text may be among them:
    we log its type alone.
    """

    def _log_robust_failure(self, receiver: Callable[..., Any], err: Exception) -> None:
        log.error("%s failed on a signal: %s", getattr(receiver, "__qualname__", receiver), type(err).__name__)


#: A message was stored, from either side. `conversation_id`, `message_id`: UUID.
message_stored = CommittedSignal()
#: A send came to an end. `conversation_id`, `message_id`: UUID; `status`: accepted, failed or uncertain.
message_settled = CommittedSignal()
#: A Connect chat ended, or was given up before it began. `conversation_id`, `contact_id` (our id of it): UUID.
contact_ended = CommittedSignal()
