"""A customer on all channels: identities, until when each takes answers, what they allow, what made them one."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Q

from channels_app.account_fields import encrypted_at
from channels_app.registry import label_of
from channels_app.reply_window import window_closes
from connect_bridge.models import OPEN_STATES, Contact, Conversation
from connect_bridge.relay.customer_context import DECIDED
from customers.models import Consent, Customer, Identity, Merge
from people.durations import duration
from people.privacy import masked_name

#: How long the page warns after WhatsApp made a new user id for a number (customer_context.py tells the chat, too).
CAUTION_FOR = timedelta(days=90)
#: A window with less time left than this is shown as closing.
CLOSING = timedelta(hours=4)
#: What ties identities together, in few words.
TIED_BY = {
    "phone": "the same number",
    "alias": "the messenger's own word",
    "link_code": "a link code",
    "one_time_code": "a one-time code",
    "platform": "the messenger's account linking",
    "assertion": "a trusted system",
    "person": "a colleague's decision",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One conversation and until when it takes free text: `closes` is None where nothing closes it."""

    conversation: Conversation
    closes: datetime | None
    open_contact: Contact | None

    @property
    def state(self) -> str:
        """Return `open`, `closing`, `closed`, `unlimited`, or `never` where the customer has not written yet."""
        if self.conversation.last_inbound_at is None:
            return "never"
        if self.closes is None:
            return "unlimited"
        left = self.closes - datetime.now(UTC)
        return "closed" if left <= timedelta(0) else "closing" if left < CLOSING else "open"

    @property
    def left(self) -> str:
        """Return the time that is left, in words of at most two units."""
        return "0 s" if self.closes is None else duration(self.closes - datetime.now(UTC))


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownIdentity:
    """One identity with all that belongs to it. `recognised_by` are the methods that tie it to the others."""

    identity: Identity
    label: str
    windows: tuple[Window, ...]
    consents: tuple[Consent, ...]
    recognised_by: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerProfile:
    """One customer. `merges` are those in force, the newest first."""

    customer: Customer
    name: str
    name_from: str
    identities: tuple[KnownIdentity, ...]
    merges: tuple[Merge, ...]

    @property
    def windows(self) -> list[Window]:
        return [window for known in self.identities for window in known.windows]

    @property
    def conversations(self) -> list[uuid.UUID]:
        return [window.conversation.pk for window in self.windows]

    @property
    def kinds(self) -> dict[uuid.UUID, str]:
        """Return each conversation's channel, as people call it."""
        return {window.conversation.pk: label_of(window.conversation.account.kind) for window in self.windows}

    @property
    def certainty(self) -> str:
        if len(self.identities) < 2:  # noqa: PLR2004 - nothing to tie
            return "single"
        return "decided" if any(merge.method == DECIDED for merge in self.merges) else "proven"

    @property
    def doubtful(self) -> list[KnownIdentity]:
        """Return the identities whose number may have a new owner: WhatsApp made a new user id for it lately."""
        since = datetime.now(UTC) - CAUTION_FOR
        return [
            known
            for known in self.identities
            if any(change.field == "bsuid" and change.at > since for change in known.identity.changes.all())
        ]

    @property
    def locale(self) -> str:
        return self.customer.locale or next(
            (known.identity.locale for known in self.identities if known.identity.locale), ""
        )


def read_profile(customer: Customer) -> CustomerProfile:
    """Read all that a page shows of the customer except messages. Six queries, however much there is."""
    identities = list(
        Identity.objects.filter(customer=customer).prefetch_related("aliases", "changes").order_by("created_at")
    )
    windows = _windows(identities)
    consents = _consents(identities)
    merges = _merges([identity.home_id for identity in identities])
    known = tuple(
        KnownIdentity(
            identity=identity,
            label=label_of(identity.kind),
            windows=tuple(windows[identity.pk]),
            consents=tuple(consents[identity.pk]),
            recognised_by=_recognised_by(identity, merges),
        )
        for identity in identities
    )
    name, source = _name(customer, known)
    return CustomerProfile(customer=customer, name=name, name_from=source, identities=known, merges=tuple(merges))


def _windows(identities: Sequence[Identity]) -> dict[uuid.UUID, list[Window]]:
    conversations = (
        Conversation.objects.filter(identity__in=identities)
        .select_related("account")
        .defer(*encrypted_at("account"))
        .order_by("created_at")
    )
    contacts = Contact.objects.filter(conversation__identity__in=identities, state__in=OPEN_STATES)
    open_contacts = {
        contact.conversation_id: contact for contact in contacts.defer("participant_token", "connection_token")
    }
    windows: dict[uuid.UUID, list[Window]] = defaultdict(list)
    for conversation in conversations:
        closes = window_closes(conversation.account.kind, conversation.last_inbound_at)
        window = Window(conversation=conversation, closes=closes, open_contact=open_contacts.get(conversation.pk))
        windows[conversation.identity_id].append(window)
    return windows


def _consents(identities: Sequence[Identity]) -> dict[uuid.UUID, list[Consent]]:
    """Return the newest decision of each identity and purpose."""
    newest = Consent.objects.filter(identity__in=identities).order_by("identity", "purpose", "-at", "-pk")
    consents: dict[uuid.UUID, list[Consent]] = defaultdict(list)
    for consent in newest.distinct("identity", "purpose"):
        consents[consent.identity_id].append(consent)
    return consents


def _merges(homes: Sequence[uuid.UUID]) -> list[Merge]:
    in_force = Merge.objects.filter(Q(low__in=homes) | Q(high__in=homes), undone_at=None)
    return list(in_force.order_by("-made_at"))


def _recognised_by(identity: Identity, merges: Sequence[Merge]) -> tuple[str, ...]:
    ties = [merge for merge in merges if identity.home_id in (merge.low_id, merge.high_id)]
    return tuple(dict.fromkeys(TIED_BY[merge.method] for merge in ties))


def _name(customer: Customer, identities: Sequence[KnownIdentity]) -> tuple[str, str]:
    """Return the name to show and who gave it."""
    if customer.display_name:
        sources = [known.label for known in identities if known.identity.display_name == customer.display_name]
        return masked_name(customer.display_name), sources[0] if sources else "your team"
    first = next((known for known in identities if known.identity.display_name or known.identity.handle), None)
    if first is None:
        return str(customer), ""
    return masked_name(first.identity.display_name) or f"@{masked_name(first.identity.handle)}", first.label
