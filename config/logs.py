"""Logging that shows neither links that open a page by themselves, nor what exceptions quote.

A database error contains the row that it refuses; a client's error names the address that it could not reach, with its
token; a conversion error quotes what it could not read. So of an exception the place and the class are logged, and its
text only where nobody's words can be in it.
"""

from __future__ import annotations

import copy
import logging
import logging.config
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any, TextIO

import psycopg
from django.core.exceptions import ImproperlyConfigured

from channels_app.registry import channels

#: Paths whose next part is a credential: the page beside a chat, a file to fetch, a reset, the proof of an address.
_PATHS_WITH_CREDENTIALS = re.compile(r"(/(?:agent|media|accounts/(?:password/reset/key|confirm-email))/)[^/\s\"'?]+")
#: Exceptions whose text contains only names in code and settings.
SAFE_TO_QUOTE = (ImproperlyConfigured, ImportError, NameError, SyntaxError)


#: The SDKs log request bodies at DEBUG: they stay above it whatever LOG_LEVEL says. Celery logs every task twice.
_QUIET = (
    "botocore",
    "boto3",
    "urllib3",
    "aiohttp",
    "picows",
    "twisted",
    "celery.worker.strategy",
    "celery.app.trace",
)


def configuration(level: str, *, discreet: bool) -> dict[str, Any]:
    """Return Django's LOGGING: one line for each record, to standard error."""
    quiet = {*_QUIET, *(name for channel in channels().values() for name in channel.sdk_loggers)}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": "config.logs.Discreet" if discreet else "logging.Formatter",
                "format": "%(asctime)s %(levelname)s %(name)s %(message)s",
            }
        },
        "filters": {
            "seldom": {"()": "channels_app.infrastructure.db.Seldom"},
            "paths": {"()": "config.logs.MaskPaths"},
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["paths"]}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {name: {"level": "WARNING"} for name in quiet} | {"psycopg.pool": {"filters": ["seldom"]}},
    }


def masked(text: str) -> str:
    """Return a text with the credential of each such path left out."""
    return _PATHS_WITH_CREDENTIALS.sub(r"\1…", text)


def configure(logging_config: dict[str, Any]) -> None:
    """Set logging up, and log as discreetly what ends a process or a thread. Django's LOGGING_CONFIG."""
    logging.config.dictConfig(logging_config)
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _process_ends
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _thread_ends
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _unraisable


def _process_ends(kind: type[BaseException], failure: BaseException, at: Any) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, failure, at)
        return
    hint = "What it said is left out, because it may quote a customer; DEBUG=true shows it."
    sys.stderr.write("\n".join((*_traceback_of(failure), hint, "")))


def _thread_ends(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
        logging.getLogger("threading").error("a thread ended", exc_info=args.exc_value)


def _unraisable(
    args: sys.UnraisableHookArgs,
    # At the very end of a process our module's names are gone, too; these stay.
    is_finalizing: Callable[[], bool] = sys.is_finalizing,
    stderr: TextIO | None = sys.__stderr__,
) -> None:
    if is_finalizing():  # there is nothing left with which a line could be formatted
        if stderr is not None:
            stderr.write(f"At the end of the process nobody could catch {args.exc_type.__name__}.\n")
    elif args.exc_value is not None:
        logging.getLogger("parley").error("an exception that nobody could catch", exc_info=args.exc_value)


class MaskPaths(logging.Filter):
    """Masks such paths in what Django logs of requests."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = masked(str(record.msg))
        if isinstance(record.args, tuple):
            record.args = tuple(masked(arg) if isinstance(arg, str) else arg for arg in record.args)
        return True


class Discreet(logging.Formatter):
    """Formats a record; of its exception, only the traceback's places and the class."""

    def format(self, record: logging.LogRecord) -> str:
        plain = copy.copy(record)
        plain.exc_text = None  # another handler's
        if plain.exc_info and (failure := plain.exc_info[1]):
            plain.msg, plain.args = _without_words(record.getMessage(), failure), None
        return super().format(plain)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the library's name
        return "\n".join(_traceback_of(ei[1])) if ei[1] is not None else ""


def kind_of(failure: BaseException) -> str:
    """Return an exception's class, with the database's code, the system's error text or a text safe to quote."""
    of = type(failure)
    name = of.__qualname__ if of.__module__ == "builtins" else f"{of.__module__}.{of.__qualname__}"
    words = failure.strerror if isinstance(failure, OSError) else None
    if isinstance(failure, psycopg.Error) and failure.sqlstate:
        words = f"{failure.sqlstate} {failure.diag.constraint_name or ''}".strip()
    elif isinstance(failure, SAFE_TO_QUOTE):
        words = str(failure)
    return f"{name}: {words}" if words else name


def _without_words(message: str, failure: BaseException) -> str:
    for link in _chain(failure):
        for words in (repr(link), str(link)):
            message = message.replace(words, kind_of(link)) if words else message
    return message


def _chain(failure: BaseException) -> Iterator[BaseException]:
    """Yield an exception and what led to it, the latest first, each once."""
    seen: set[int] = set()
    link: BaseException | None = failure
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _traceback_of(failure: BaseException) -> Iterator[str]:
    for link in reversed(list(_chain(failure))):
        yield "Traceback (most recent call last):"
        yield from "".join(traceback.format_tb(link.__traceback__)).splitlines()
        yield kind_of(link)
        for part in link.exceptions if isinstance(link, BaseExceptionGroup) else ():
            yield from (f"  | {line}" for line in _traceback_of(part))
