"""Codes of authenticator apps work once: the step of time of the last one is kept, and none up to it counts again.

RFC 6238, 5.2: "The verifier MUST NOT accept the second attempt of the OTP after the successful validation has been
issued for the first OTP". The sign-in library remembers a code for thirty seconds, while it takes one for ninety.
"""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth
from allauth.mfa.utils import decrypt
from django.db import transaction

_STEP = "last_step"


def install() -> None:
    """Have the library ask here whether a code that fits was used. A test holds that it does."""
    auth.TOTP._mark_code_used = lambda totp, code: use(totp.instance.pk, code)  # noqa: SLF001 - it has no setting for it


@transaction.atomic
def use(pk: int, code: str) -> bool:
    """Take a code that fits; return False if its step, or a later one, was used before."""
    row: Any = Authenticator.objects.select_for_update().filter(pk=pk).first()
    if row is None:
        return False
    step = _step_of(decrypt(row.data["secret"]), code)
    if step is None or step <= row.data.get(_STEP, -1):
        return False
    row.data[_STEP] = step
    row.save(update_fields=["data"])
    return True


def _step_of(secret: str, code: str) -> int | None:
    """Return the latest step of those that count now whose code this is."""
    code_entered = auth.normalize_user_code(code)
    fits = [
        step
        for step in auth.yield_hotp_counters_from_time()
        if auth.compare_user_code(actual=code_entered, expected=auth.format_hotp_value(auth.hotp_value(secret, step)))
    ]
    return max(fits, default=None)
