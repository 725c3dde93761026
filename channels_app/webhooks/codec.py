"""Events as JSON, for the database."""

from __future__ import annotations

from typing import Any

import msgspec

from channels_app.types import InboundEvent

_decoder: msgspec.json.Decoder[InboundEvent] = msgspec.json.Decoder(InboundEvent)


def encode_event(event: InboundEvent) -> bytes:
    return msgspec.json.encode(event)


def decode_event(raw: bytes | str) -> InboundEvent:
    """Return the event that `encode_event` wrote; raise msgspec.ValidationError for anything else."""
    return _decoder.decode(raw)


def event_from_builtins(raw: dict[str, Any]) -> InboundEvent:
    """Return the event from parsed JSON, e.g. a jsonb column."""
    event: InboundEvent = msgspec.convert(raw, InboundEvent)
    return event
