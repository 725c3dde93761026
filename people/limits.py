"""How guessing is slowed down without locking anybody out from afar.

Wrong passwords are counted by name and address (ACCOUNT_RATE_LIMITS): after five, that pair gets 429 for a while, known
name or not. From everywhere together a name is never locked; its attempts take longer, by two seconds at most.
"""

from __future__ import annotations

import time
from http import HTTPStatus

from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from people.security import digest_of

#: Seconds for which failures count, and after which it makes sense to try again.
WINDOW = 300
#: Wrong passwords for one name, from everywhere, that cost no time; then so many seconds for each further one, at most.
FREE, EACH, MOST = 20, 0.1, 2.0


def slow_down(name: str) -> None:
    """Wait, if this name is being guessed at. Needs no name that exists."""
    pause(delay_of(cache.get(_key(name), 0)))


def pause(seconds: float) -> None:
    """Wait within a request, without a connection to the database."""
    if seconds > 0:
        if not connection.in_atomic_block:
            connection.close()  # back into the pool: whoever waits here keeps none from the others
        time.sleep(seconds)


def delay_of(failures: int) -> float:
    """Return the seconds that an attempt takes after so many wrong ones."""
    return min(MOST, EACH * max(0, failures - FREE))


def slowed_by_failure(name: str) -> None:
    """Count a wrong password."""
    key = _key(name)
    cache.set(key, cache.get(key, 0) + 1, WINDOW)


def too_many(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:  # noqa: ARG001 - a handler's signature
    """Answer 429, the same for everybody."""
    answer = render(request, "429.html", status=HTTPStatus.TOO_MANY_REQUESTS)
    answer["Retry-After"] = str(WINDOW)
    return answer


def _key(name: str) -> str:
    return f"sign-in:{digest_of(name)}"
