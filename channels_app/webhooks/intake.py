"""Turn one request from a provider into rows to store: verify, parse, classify. No I/O, no framework."""

from __future__ import annotations

import hashlib
import logging
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import msgspec

from channels_app.account import Account
from channels_app.channel import Channel
from channels_app.errors import BadRequest, BadSignature, Unusable, WebhookRejected
from channels_app.models import InboundEntry, WebhookDelivery, shard_of
from channels_app.toolkit.json_body import storable
from channels_app.toolkit.payloads import LONGEST_ID, short_id
from channels_app.types import (
    InboundEvent,
    MessageReceived,
    Misaddressed,
    Unrecognised,
    VerifiedWebhook,
    WebhookRequest,
)
from channels_app.webhooks.codec import encode_event
from channels_app.webhooks.redaction import redacted, without, written_in
from channels_app.webhooks.responses import Refused

log = logging.getLogger(__name__)

#: What is kept of a request's headers, beside what its channel names: nothing that proves or authorises anything.
KEPT_HEADERS = ("content-type", "user-agent")
_LONGEST_HEADER = 300
_LONGEST_KEY = 255
_LONGEST_REASON = 200
#: NUL inside a JSON string, which jsonb refuses. After an escaped backslash the same letters are plain text.
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")

Delivery = WebhookDelivery.State
Entry = InboundEntry.State


@dataclass(frozen=True, slots=True)
class EntryRow:
    """One event, as a row."""

    key: str
    type: str
    sender: str
    shard: int
    event: str
    state: str
    outcome: str


@dataclass(frozen=True, slots=True)
class ParsedDelivery:
    """A signed request and its events, to be stored together. `state` is right if any of the events is new."""

    id: uuid.UUID
    account: uuid.UUID
    received_at: datetime
    request_id: str
    headers: str
    query: str
    body: bytes
    state: str
    reason: str = ""
    entries: tuple[EntryRow, ...] = ()

    def set_aside(self, reason: str) -> ParsedDelivery:
        """Return the request alone, quarantined: what was signed is kept even if its events cannot be.

        Only once: the same bytes for the same account have the same id, so that repeating them fills no table.
        """
        repeatable_id = uuid.uuid5(self.account, hashlib.sha256(self.body).hexdigest())
        short_reason = storable(reason)[:_LONGEST_REASON]
        return replace(self, id=repeatable_id, state=Delivery.QUARANTINED, reason=short_reason, entries=())


def receive_webhook(account: Account, request: WebhookRequest, request_id: str) -> ParsedDelivery:
    """Verify and parse a request: return the rows for one that the provider signed; raise Refused for any other.

    Whatever it says is kept: what cannot be read is quarantined, because delivering it again would not help.
    """
    channel, webhook = _verified(account, request, datetime.now(UTC))
    parsed = parse_webhook(account, webhook, request_id, channel=channel)
    if parsed.state == Delivery.QUARANTINED:
        log.warning("webhook %s account=%s quarantined: see delivery %s", request_id, account.id, parsed.id)
    return parsed


def parse_webhook(
    account: Account, webhook: VerifiedWebhook, request_id: str, *, channel: Channel[Any] | None = None
) -> ParsedDelivery:
    """Parse a webhook: return its rows, whether it was signed just now, stored long ago or asked for."""
    if account.redact:
        webhook = VerifiedWebhook(replace(webhook, body=without(webhook.body, written_in(webhook.body))))
    parsed = ParsedDelivery(
        id=uuid.uuid4(),
        account=account.id,
        received_at=datetime.now(UTC),
        request_id=request_id,
        headers=_kept(webhook.headers, account),
        query=storable(webhook.query),
        body=webhook.body,
        state=Delivery.QUARANTINED,
    )
    return _read(account, channel or account.channel, webhook, parsed)


def _read(account: Account, channel: Channel[Any], webhook: VerifiedWebhook, parsed: ParsedDelivery) -> ParsedDelivery:
    try:
        events, body = _fit_to_store(account, channel.parse(webhook), parsed.body)
        entries = tuple(_entry(account, event) for event in events)
    except Unusable as problem:
        return parsed.set_aside(str(problem))
    except Exception as problem:  # noqa: BLE001 - a parser's fault must not cost the message
        # No trace: it could quote the message.
        log.error("webhook %s: the parser failed (%s)", parsed.request_id, type(problem).__name__)  # noqa: TRY400
        return parsed.set_aside(f"the parser failed: {type(problem).__name__}")
    state, reason = _delivery_state(entries)
    return replace(parsed, entries=entries, state=state, reason=reason, body=body)


def _fit_to_store(account: Account, events: Iterable[InboundEvent], body: bytes) -> tuple[list[InboundEvent], bytes]:
    """Return the events and the raw bytes without what the account does not want to be stored."""
    if not account.redact:
        return list(events), body
    cleaned = [redacted(event) for event in events]
    replaced = [pair for _, pairs in cleaned for pair in pairs]
    return [event for event, _ in cleaned], without(body, replaced)


def _verified(account: Account, request: WebhookRequest, now: datetime) -> tuple[Channel[Any], VerifiedWebhook]:
    for channel in account.channels_at(now):
        try:
            return channel, channel.verify(request)
        except BadSignature:
            continue
        except WebhookRejected as rejection:
            raise refusal_of(rejection) from None
        except Exception as problem:  # noqa: BLE001 - a check that fails has verified nothing
            # No trace: it could show the digest.
            log.error("%s could not check a signature (%s)", account.kind, type(problem).__name__)  # noqa: TRY400
    raise Refused(HTTPStatus.UNAUTHORIZED, BadSignature.code)


def refusal_of(rejection: WebhookRejected) -> Refused:
    """Return the answer to a request that the channel rejects. The rejection's own words stay inside."""
    code = rejection.reason if isinstance(rejection, BadRequest) else rejection.code
    return Refused(HTTPStatus(rejection.status), code)


def _kept(headers: dict[str, str], account: Account) -> str:
    names = (*KEPT_HEADERS, *account.channel.kept_headers)
    kept = {name: storable(headers[name])[:_LONGEST_HEADER] for name in names if name in headers}
    return msgspec.json.encode(kept).decode()


def _entry(account: Account, event: InboundEvent) -> EntryRow:
    state, outcome = _initial_state(account, event)
    sender = storable(short_id(event.sender.external_id))
    raw = encode_event(event)
    return EntryRow(
        key=storable(event.key if len(event.key) <= _LONGEST_KEY else short_id(event.key)),
        type=str(event.__struct_config__.tag),
        sender=sender,
        shard=shard_of(account.id, sender),
        event=(_NUL.sub(rb"\1\\ufffd", raw) if b"\\u0000" in raw else raw).decode(),
        state=str(state),
        outcome=storable(outcome)[:_LONGEST_REASON],
    )


def _initial_state(account: Account, event: InboundEvent) -> tuple[str, str]:
    """Return the state in which an event is stored, and why if the bridge is not to see it."""
    if isinstance(event, Misaddressed):
        return Entry.QUARANTINED, f"for {event.address}, not for this account"
    if isinstance(event, Unrecognised):
        return Entry.DONE, f"unrecognised: {event.type}"
    if isinstance(event, MessageReceived) and event.sender.external_id == account.address:
        return Entry.DONE, "sent by our own address"
    if len(event.sender.external_id) > LONGEST_ID:
        return Entry.QUARANTINED, "the sender's id is too long"
    return Entry.PENDING, ""


def _delivery_state(entries: tuple[EntryRow, ...]) -> tuple[str, str]:
    """Return the delivery's state, supposing that its events are new, and the reason for a bad one."""
    states = {entry.state for entry in entries}
    if Entry.PENDING in states:
        return Delivery.ACCEPTED, ""
    if Entry.QUARANTINED in states:
        return Delivery.QUARANTINED, next(entry.outcome for entry in entries if entry.state == Entry.QUARANTINED)
    return Delivery.IGNORED, ""
