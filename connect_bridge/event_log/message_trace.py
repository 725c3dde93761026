"""The trace of one message: from phone to agent and back, step by step, with times and what was answered at each."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Prefetch

from channels_app.accounts.explanations import Explanation, explain
from channels_app.models import ChannelLog, InboundEntry, WebhookDelivery
from connect_bridge.models import Contact, Message, OutboxEntry

#: How many events of one delivery, and calls of one send, a trace shows.
MOST = 50


@dataclass(frozen=True, slots=True)
class TraceStep:
    """One step. `seconds` have passed since the step before. `bad` marks the step at which it failed."""

    title: str
    detail: str
    at: datetime | None
    seconds: float | None = None
    bad: bool = False


@dataclass(slots=True)
class MessageTrace:
    """All that is known of one webhook or one send. `answer` is the first answer to the customer's message."""

    direction: str
    id: uuid.UUID
    account: Any
    steps: list[TraceStep] = field(default_factory=list)
    delivery: WebhookDelivery | None = None
    entries: list[InboundEntry] = field(default_factory=list)
    message: Message | None = None
    answer: Message | None = None
    send: OutboxEntry | None = None
    calls: list[ChannelLog] = field(default_factory=list)
    failure: Explanation | None = None

    @property
    def total(self) -> float | None:
        """Return the seconds from the first step to the last that has happened."""
        times = [step.at for step in self.steps if step.at]
        return (times[-1] - times[0]).total_seconds() if len(times) > 1 else None


def trace_webhook(key: uuid.UUID) -> MessageTrace | None:
    """Return the trace of a webhook's first event that became a message, and of its answer; None if unknown."""
    delivery = WebhookDelivery.objects.filter(pk=key).select_related("account").first()
    if delivery is None:
        return None
    entries = list(delivery.entries.order_by("id")[:MOST])
    messages = Message.objects.filter(entry__in=entries).select_related("conversation__identity__customer", "contact")
    message = messages.defer("contact__participant_token", "contact__connection_token").order_by("sequence").first()
    trace = MessageTrace("in", key, delivery.account, delivery=delivery, entries=entries, message=message)
    if message is not None:
        trace.answer = _answer_to(message)
    trace.steps = _timed(_inbound(delivery, entries, message, trace.answer))
    if message is not None and message.status == Message.Status.FAILED:
        trace.failure = explain(message.error_code, kind=delivery.account.kind, words=message.error_detail)
    return trace


def trace_send(key: uuid.UUID) -> MessageTrace | None:
    """Return the trace of a send, from the agent's words to the messenger's answer; None if unknown."""
    rows = OutboxEntry.objects.select_related(
        "message__contact", "conversation__account", "conversation__identity__customer"
    ).defer("message__contact__participant_token", "message__contact__connection_token")
    send = rows.filter(pk=key).first()
    if send is None:
        return None
    calls = list(ChannelLog.objects.filter(outbox_entry=key).order_by("at")[:MOST])
    trace = MessageTrace("out", key, send.conversation.account, send=send, message=send.message, calls=calls)
    trace.steps = _timed(_outbound(send, calls))
    if send.state in (OutboxEntry.State.DEAD, OutboxEntry.State.UNCERTAIN):
        kind = send.conversation.account.kind
        trace.failure = explain(send.error_code, kind=kind, provider_code=send.provider_code, words=send.error_detail)
    return trace


def _answer_to(message: Message) -> Message | None:
    """Return the first message that went back to the customer."""
    sends = Prefetch("outbox", OutboxEntry.objects.order_by("part").defer("text"))
    later = Message.objects.filter(
        conversation=message.conversation_id, sequence__gt=message.sequence, direction=Message.Direction.OUTBOUND
    )
    return later.prefetch_related(sends).order_by("sequence").first()


def _inbound(
    delivery: WebhookDelivery, entries: list[InboundEntry], message: Message | None, answer: Message | None
) -> list[TraceStep]:
    steps = []
    if message is not None and message.occurred_at < delivery.received_at:
        steps.append(TraceStep("Sent by the customer", "by the messenger's clock", message.occurred_at))
    origin = "asked for: its webhook never came" if delivery.polled else "signature checked, stored, answered 200"
    steps.append(TraceStep("Webhook received", origin, delivery.received_at))
    if delivery.state != WebhookDelivery.State.ACCEPTED:
        bad = delivery.state == WebhookDelivery.State.QUARANTINED
        titles = {
            "quarantined": "Set aside",
            "duplicate": "Ended: here already",
            "ignored": "Ended: nothing for an agent",
        }
        return [*steps, TraceStep(titles[delivery.state], delivery.reason, delivery.received_at, bad=bad)]
    if message is None:
        return [
            *steps,
            *(TraceStep(f"Event {entry.type}: {entry.state}", entry.outcome, entry.done_at) for entry in entries),
        ]
    steps.append(TraceStep("Routed to its conversation", f"message {message.sequence}", message.created_at))
    steps += _chat(message.contact) if message.contact else []
    steps.append(_relayed(message))
    return [*steps, *_back(answer)]


def _chat(contact: Contact) -> list[TraceStep]:
    steps = [TraceStep("Chat asked for", f"contact {contact.initial_contact_id or contact.pk}", contact.requested_at)]
    if contact.connected_at:
        steps.append(
            TraceStep("Chat connected", contact.agent_name and f"agent {contact.agent_name}", contact.connected_at)
        )
    return steps


def _relayed(message: Message) -> TraceStep:
    failed = message.status == Message.Status.FAILED
    if failed or message.relayed_at is None:
        title = "Not taken by Amazon Connect" if failed else "Waits for Amazon Connect"
        return TraceStep(title, f"{message.attempts} attempts {message.error_detail}", message.settled_at, bad=failed)
    return TraceStep(
        "Taken by Amazon Connect", f"item {message.connect_item_id or 'InitialMessage'}", message.relayed_at
    )


def _back(answer: Message | None) -> list[TraceStep]:
    if answer is None:
        return [TraceStep("Answered", "not yet", None)]
    speaker = f"by {answer.role.lower()} {answer.author}".strip()
    steps = [TraceStep("Answered", speaker, answer.created_at)]
    steps += [_sent(send) for send in answer.outbox.all()]
    return steps


def _sent(send: OutboxEntry) -> TraceStep:
    bad = send.state in (OutboxEntry.State.DEAD, OutboxEntry.State.UNCERTAIN)
    words = " ".join(
        filter(None, (f"{send.attempts} attempts", send.error_code, send.provider_code, send.error_detail))
    )
    title = {"accepted": "Taken by the messenger", "dead": "Refused by the messenger", "uncertain": "Perhaps taken"}
    return TraceStep(title.get(send.state, "Waits for the messenger"), words, send.settled_at, bad=bad)


def _outbound(send: OutboxEntry, calls: list[ChannelLog]) -> list[TraceStep]:
    message = send.message
    steps = [
        TraceStep("Said in Amazon Connect", f"by {message.role.lower()} {message.author}".strip(), message.occurred_at),
        TraceStep("Captured", f"item {message.connect_item_id or '-'}", message.created_at),
        TraceStep("Put into the outbox", f"part {send.part + 1}", send.created_at),
    ]
    for number, call in enumerate(calls, start=1):
        summary = f"{call.method} {call.host}{call.path} → {call.status or call.error} in {call.seconds * 1000:.0f} ms"
        steps.append(TraceStep(f"Attempt {number}", summary, call.at, bad=not 200 <= call.status < 300))  # noqa: PLR2004 - HTTP
    steps.append(_sent(send))
    if message.status in (Message.Status.DELIVERED, Message.Status.READ):
        steps.append(TraceStep(f"{message.status.capitalize()}, says the messenger", "", message.settled_at))
    return steps


def _timed(steps: list[TraceStep]) -> list[TraceStep]:
    """Put the steps in order of time, with how long each took; steps that have not happened yet come last."""
    done = sorted(((step.at, number, step) for number, step in enumerate(steps) if step.at), key=lambda item: item[:2])
    timed: list[TraceStep] = []
    before: datetime | None = None
    for at, _, step in done:
        timed.append(
            TraceStep(step.title, step.detail, at, (at - before).total_seconds() if before else None, step.bad)
        )
        before = at
    return [*timed, *(step for step in steps if step.at is None)]
