"""One message's flight record: phone to agent and back, each hop timed, with what was said at each."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Prefetch

from channels_app.accounts.explanations import Explanation, explain
from channels_app.models import ChannelLog, InboundEntry, WebhookDelivery
from connect_bridge.models import Contact, Message, OutboxEntry

#: Events of one delivery, and calls of one send, that a record shows.
MOST = 50


@dataclass(frozen=True, slots=True)
class Hop:
    """One hop. `seconds` are since the hop before. `bad` marks where it ended."""

    title: str
    detail: str
    at: datetime | None
    seconds: float | None = None
    bad: bool = False


@dataclass(slots=True)
class Record:
    """All that is known of one webhook or one send."""

    direction: str
    id: uuid.UUID
    account: Any
    hops: list[Hop] = field(default_factory=list)
    delivery: WebhookDelivery | None = None
    entries: list[InboundEntry] = field(default_factory=list)
    message: Message | None = None
    answer: Message | None = None
    send: OutboxEntry | None = None
    calls: list[ChannelLog] = field(default_factory=list)
    failure: Explanation | None = None

    @property
    def total(self) -> float | None:
        """Return the seconds from the first hop to the last that was made."""
        made = [hop.at for hop in self.hops if hop.at]
        return (made[-1] - made[0]).total_seconds() if len(made) > 1 else None


def of_webhook(key: uuid.UUID) -> Record | None:
    """Return the record of a webhook's first event that became a message, and of the answer to it."""
    delivery = WebhookDelivery.objects.filter(pk=key).select_related("account").first()
    if delivery is None:
        return None
    entries = list(delivery.entries.order_by("id")[:MOST])
    messages = Message.objects.filter(entry__in=entries).select_related("conversation__identity__customer", "contact")
    message = messages.defer("contact__participant_token", "contact__connection_token").order_by("sequence").first()
    record = Record("in", key, delivery.account, delivery=delivery, entries=entries, message=message)
    if message is not None:
        record.answer = _answer_to(message)
    record.hops = _timed(_inbound(delivery, entries, message, record.answer))
    if message is not None and message.status == Message.Status.FAILED:
        record.failure = explain(message.error_code, kind=delivery.account.kind, words=message.error_detail)
    return record


def of_send(key: uuid.UUID) -> Record | None:
    """Return the record of a send: from the agent's word to the messenger's answer, with every call."""
    rows = OutboxEntry.objects.select_related(
        "message__contact", "conversation__account", "conversation__identity__customer"
    ).defer("message__contact__participant_token", "message__contact__connection_token")
    send = rows.filter(pk=key).first()
    if send is None:
        return None
    calls = list(ChannelLog.objects.filter(outbox_entry=key).order_by("at")[:MOST])
    record = Record("out", key, send.conversation.account, send=send, message=send.message, calls=calls)
    record.hops = _timed(_outbound(send, calls))
    if send.state in (OutboxEntry.State.DEAD, OutboxEntry.State.UNCERTAIN):
        kind = send.conversation.account.kind
        record.failure = explain(send.error_code, kind=kind, provider_code=send.provider_code, words=send.error_detail)
    return record


def _answer_to(message: Message) -> Message | None:
    """Return the first thing that was said back."""
    sends = Prefetch("outbox", OutboxEntry.objects.order_by("part").defer("text"))
    later = Message.objects.filter(
        conversation=message.conversation_id, sequence__gt=message.sequence, direction=Message.Direction.OUTBOUND
    )
    return later.prefetch_related(sends).order_by("sequence").first()


def _inbound(
    delivery: WebhookDelivery, entries: list[InboundEntry], message: Message | None, answer: Message | None
) -> list[Hop]:
    hops = []
    if message is not None and message.occurred_at < delivery.received_at:
        hops.append(Hop("Sent by the customer", "by the messenger's clock", message.occurred_at))
    came = "asked for: its webhook never came" if delivery.polled else "signature checked, stored, answered 200"
    hops.append(Hop("Webhook received", came, delivery.received_at))
    if delivery.state != WebhookDelivery.State.ACCEPTED:
        bad = delivery.state == WebhookDelivery.State.QUARANTINED
        ended = {
            "quarantined": "Set aside",
            "duplicate": "Ended: here already",
            "ignored": "Ended: nothing for an agent",
        }
        return [*hops, Hop(ended[delivery.state], delivery.reason, delivery.received_at, bad=bad)]
    if message is None:
        return [*hops, *(Hop(f"Event {one.type}: {one.state}", one.outcome, one.done_at) for one in entries)]
    hops.append(Hop("Routed to its conversation", f"message {message.sequence}", message.created_at))
    hops += _chat(message.contact) if message.contact else []
    hops.append(_relayed(message))
    return [*hops, *_back(answer)]


def _chat(contact: Contact) -> list[Hop]:
    hops = [Hop("Chat asked for", f"contact {contact.initial_contact_id or contact.pk}", contact.requested_at)]
    if contact.connected_at:
        hops.append(Hop("Chat connected", contact.agent_name and f"agent {contact.agent_name}", contact.connected_at))
    return hops


def _relayed(message: Message) -> Hop:
    failed = message.status == Message.Status.FAILED
    if failed or message.relayed_at is None:
        title = "Not taken by Amazon Connect" if failed else "Waits for Amazon Connect"
        return Hop(title, f"{message.attempts} attempts {message.error_detail}", message.settled_at, bad=failed)
    return Hop("Taken by Amazon Connect", f"item {message.connect_item_id or 'InitialMessage'}", message.relayed_at)


def _back(answer: Message | None) -> list[Hop]:
    if answer is None:
        return [Hop("Answered", "not yet", None)]
    said = f"by {answer.role.lower()} {answer.author}".strip()
    hops = [Hop("Answered", said, answer.created_at)]
    hops += [_sent(one) for one in answer.outbox.all()]
    return hops


def _sent(send: OutboxEntry) -> Hop:
    bad = send.state in (OutboxEntry.State.DEAD, OutboxEntry.State.UNCERTAIN)
    words = " ".join(
        filter(None, (f"{send.attempts} attempts", send.error_code, send.provider_code, send.error_detail))
    )
    title = {"accepted": "Taken by the messenger", "dead": "Refused by the messenger", "uncertain": "Perhaps taken"}
    return Hop(title.get(send.state, "Waits for the messenger"), words, send.settled_at, bad=bad)


def _outbound(send: OutboxEntry, calls: list[ChannelLog]) -> list[Hop]:
    message = send.message
    hops = [
        Hop("Said in Amazon Connect", f"by {message.role.lower()} {message.author}".strip(), message.occurred_at),
        Hop("Captured", f"item {message.connect_item_id or '-'}", message.created_at),
        Hop("Put into the outbox", f"part {send.part + 1}", send.created_at),
    ]
    for number, call in enumerate(calls, start=1):
        what = f"{call.method} {call.host}{call.path} → {call.status or call.error} in {call.seconds * 1000:.0f} ms"
        hops.append(Hop(f"Attempt {number}", what, call.at, bad=not 200 <= call.status < 300))  # noqa: PLR2004 - HTTP
    hops.append(_sent(send))
    if message.status in (Message.Status.DELIVERED, Message.Status.READ):
        hops.append(Hop(f"{message.status.capitalize()}, says the messenger", "", message.settled_at))
    return hops


def _timed(hops: list[Hop]) -> list[Hop]:
    """Add how long each hop took, in the order of time; hops that were not made yet come last."""
    made = sorted(((hop.at, number, hop) for number, hop in enumerate(hops) if hop.at), key=lambda one: one[:2])
    timed: list[Hop] = []
    before: datetime | None = None
    for at, _, hop in made:
        timed.append(Hop(hop.title, hop.detail, at, (at - before).total_seconds() if before else None, hop.bad))
        before = at
    return [*timed, *(hop for hop in hops if hop.at is None)]
