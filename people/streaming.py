"""Answers of any length, sent as they are made: under ASGI, Django would first gather a plain iterator as a whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest


def streamed(request: Any, pieces: Iterator[str]) -> Iterator[str] | AsyncIterator[str]:
    """Return the pieces as the server of this request sends them one by one; `request` is Django's or DRF's."""
    return _one_by_one(pieces) if isinstance(getattr(request, "_request", request), ASGIRequest) else pieces


def _next(pieces: Iterator[str]) -> str | None:
    return next(pieces, None)


async def _one_by_one(pieces: Iterator[str]) -> AsyncIterator[str]:
    """Make each piece once the one before is sent, in the request's own thread: a cursor stays with its connection."""
    try:
        while (piece := await sync_to_async(_next)(pieces)) is not None:
            yield piece
    finally:
        if isinstance(pieces, Generator):
            await sync_to_async(pieces.close)()
