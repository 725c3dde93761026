"""Security events (sign-ins, factors, tokens, rights): a line in the log `parley.security`, a row on the audit page.

No secret is in either. A line names a known user by id and a name that somebody typed by a keyed digest, because people
type passwords there too.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from typing import Any

from allauth.account.adapter import get_adapter
from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest

from people.models import SecurityEvent

log = logging.getLogger("parley.security")

#: Events that strangers can cause as often as they like: one row in so many seconds for each of them.
NOISY = frozenset({"sign_in_failed", "locked_out", "second_factor_failed", "token_refused"})
ONCE_IN = 60
#: Events that an operator should see among others.
GRAVE = NOISY | {"directory_refused", "local_means_refused"}


def note(event: str, request: HttpRequest | None = None, *, user: Any = None, name: str = "", **more: Any) -> None:
    """Record an event. `user` is whom it is about, `name` what somebody typed; `more` contains no secret."""
    digest = digest_of(name) if name else ""
    address, by = _address(request), _who(request)
    fields = {
        "user": user.pk if user is not None else "",
        "name": digest,
        "by": by.pk if by is not None else "",
        "address": address,
        **more,
    }
    words = " ".join(f"{key}={_plain(value)}" for key, value in fields.items() if value not in ("", None))
    log.log(logging.WARNING if event in GRAVE else logging.INFO, "event=%s %s", event, words)
    mark = f"security:{event}:{user.pk if user is not None else digest}:{address}"
    if event in NOISY and not cache.add(mark, 1, ONCE_IN):
        return
    SecurityEvent.objects.create(
        event=event,
        about=user.get_username() if user is not None else "",
        digest=digest,
        by=by.get_username() if by is not None else "",
        address=address or None,
        detail={key: _plain(value) for key, value in more.items()},
    )


def digest_of(name: str) -> str:
    """Return a keyed digest of a typed name: the same for the same name, and nothing to guess from without our key."""
    key = settings.SECRET_KEY.encode()
    return hmac.new(key, b"parley name\0" + name.casefold().encode(), hashlib.sha256).hexdigest()[:16]


def address_of(request: HttpRequest) -> str:
    """Return the client's address, as far as our own proxy names it."""
    return str(get_adapter().get_client_ip(request) or "")


def _address(request: HttpRequest | None) -> str:
    if request is None:
        return ""
    try:
        return address_of(request)
    except Exception:  # noqa: BLE001 - a request without an address, as over a socket of the machine's own
        return ""


def _who(request: HttpRequest | None) -> Any:
    user = getattr(request, "user", None)
    return user if user is not None and user.is_authenticated else None


def _plain(value: Any) -> str:
    """Return a value on one line, without what could pass for another field."""
    return "".join(
        character if character.isprintable() and character not in ' ="' else "_" for character in str(value)
    )[:150]
