"""Everything that is known of a person, as one JSON document, written piece by piece."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Q
from django.http import StreamingHttpResponse

from connect_bridge.models import Contact, Conversation, Message
from customers.models import Consent, Customer, Identity, LinkCode, Merge, PrivacyRequest
from people.audit import note_read
from people.streaming import streamed

#: Rows that are read at once.
CHUNK = 2_000
MESSAGE = (
    "id",
    "contact_id",
    "sequence",
    "direction",
    "role",
    "author",
    "content_type",
    "text",
    "original",
    "status",
    "error_code",
    "error_detail",
    "occurred_at",
    "created_at",
)
CONTACT = ("id", "initial_contact_id", "state", "agent_name", "requested_at", "started_at", "ended_at", "reason")


def note_export(customer: Customer, *, by: str, reason: str = "") -> PrivacyRequest:
    """Put the export on record, before it is written."""
    return PrivacyRequest.objects.create(
        verb=PrivacyRequest.Verb.EXPORT,
        customer=customer,
        at=datetime.now(UTC),
        by=by[:150],
        reason=reason[:300],
        counts={"messages": Message.objects.filter(conversation__identity__customer=customer).count()},
    )


def exported(customer: Customer, request: Any) -> StreamingHttpResponse:
    """Return the export as a file, after putting it on record; `request` is Django's or DRF's."""
    shown = customer.merged_into or customer
    note_export(shown, by=request.user.get_username())
    note_read(request.user, "customer", [shown.pk])
    answer = StreamingHttpResponse(streamed(request, export(shown)), content_type="application/json")
    answer["Content-Disposition"] = f'attachment; filename="customer-{shown.pk}.json"'
    return answer


def export(customer: Customer) -> Iterator[str]:
    """Yield the document: who the person is, what they allowed, every conversation and its messages."""
    homes = Customer.objects.filter(Q(pk=customer.pk) | Q(merged_into=customer.pk))
    identities = Identity.objects.filter(customer=customer)
    head = {
        "exported_at": datetime.now(UTC),
        "customers": _rows(homes, "id", "display_name", "locale", "preferred_channel", "facts", "created_at"),
        "identities": [_identity(identity) for identity in identities.prefetch_related("aliases", "hints", "changes")],
        "merges": _rows(
            Merge.objects.filter(Q(low__in=homes) | Q(high__in=homes)),
            *(
                "id",
                "low_id",
                "high_id",
                "method",
                "evidence",
                "reason",
                "made_at",
                "made_by",
                "undone_at",
                "undone_by",
            ),
        ),
        "link_codes": _rows(
            LinkCode.objects.filter(customer__in=homes), "id", "form", "made_at", "expires_at", "used_at", "outcome"
        ),
        "consents": _rows(
            Consent.objects.filter(identity__in=identities),
            *("identity_id", "purpose", "granted", "source", "topic", "evidence", "by", "at"),
        ),
    }
    yield _json(head).removesuffix("}") + ',"conversations":['
    for number, chat in enumerate(Conversation.objects.filter(identity__in=identities).select_related("account")):
        yield ("," if number else "") + _json(_conversation(chat)).removesuffix("}") + ',"messages":['
        messages = Message.objects.filter(conversation=chat).order_by("sequence").values(*MESSAGE)
        for place, message in enumerate(messages.iterator(CHUNK)):
            yield ("," if place else "") + _json(message)
        yield "]}"
    yield "]}\n"


def _identity(identity: Identity) -> dict[str, Any]:
    names = ("id", "kind", "issuer", "external_id", "display_name", "handle", "picture_url", "locale")
    columns = {name: getattr(identity, name) for name in (*names, "created_at", "last_seen_at", "suppressed_at")}
    return {
        **columns,
        "aliases": [{"type": alias.type, "value": alias.value} for alias in identity.aliases.all()],
        "hints": [{"type": hint.type, "value": hint.value} for hint in identity.hints.all()],
        "changes": [
            {"field": change.field, "old": change.old, "new": change.new, "at": change.at}
            for change in identity.changes.all()
        ],
    }


def _conversation(chat: Conversation) -> dict[str, Any]:
    contacts = Contact.objects.filter(conversation=chat).order_by("requested_at").values(*CONTACT)
    return {
        "id": chat.pk,
        "identity": chat.identity_id,
        "channel": chat.account.kind,
        "account": chat.account.name,
        "recipient": chat.recipient,
        "contacts": list(contacts),
    }


def _rows(rows: Any, *names: str) -> list[dict[str, Any]]:
    return list(rows.values(*names))


def _json(value: Any) -> str:
    return json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False)
