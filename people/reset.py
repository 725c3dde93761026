"""How somebody who forgot a password asks for a link: the answer, and its time, tell nobody who is known here."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from people.limits import pause

if TYPE_CHECKING:  # allauth is not typed

    class ResetPasswordForm:
        def __init__(self, *arguments: Any, **named: Any) -> None: ...

        def save(self, request: Any, **named: Any) -> str: ...
else:
    from allauth.account.forms import ResetPasswordForm

log = logging.getLogger(__name__)

#: Seconds that an answer takes, whatever there is to do: far more than to look somebody up and to write a letter.
TAKES = 0.5


class ResetForm(ResetPasswordForm):
    """Takes an address. What is done for a known one alone fits into the time that every answer takes."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._answers_at = time.monotonic() + TAKES

    def save(self, request: Any, **named: Any) -> str:
        address = super().save(request, **named)
        pause(self._answers_at - time.monotonic())
        return address


def send_aside(letter: Any) -> None:
    """Send a letter while its request goes on: how long a mail server takes, and whether it fails, is nobody's to see.

    It is tried once. Whoever gets none asks again.
    """
    threading.Thread(target=_send, args=(letter,), name="letter").start()


def _send(letter: Any) -> None:
    try:
        letter.send()
    except Exception as failure:  # noqa: BLE001 - whatever a mail server does; it may quote the address
        log.warning("a letter of the sign-in was not sent: %s", type(failure).__name__)
