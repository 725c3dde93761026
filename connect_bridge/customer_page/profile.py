"""A customer as a whole: identities, where one can answer until when, what they allow, what made them one."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Lower

from channels_app.registry import label_of
from channels_app.reply_window import window_closes
from connect_bridge.models import OPEN_STATES, Contact, Conversation
from connect_bridge.relay.customer_context import DECIDED
from customers.models import Consent, Customer, Identity, Merge
from customers.names import name_key
from people.privacy import masked_name

#: For how long a user id that was made anew for a number is worth a caution (context.py says it to the chat).
CAUTION_FOR = timedelta(days=90)
#: A window with less left than this is closing.
CLOSING = timedelta(hours=4)
#: What ties identities, in few words.
TIED_BY = {
    "phone": "the same number",
    "alias": "the messenger's own word",
    "link_code": "a link code",
    "one_time_code": "a one-time code",
    "platform": "the messenger's account linking",
    "assertion": "a trusted system",
    "person": "a colleague's decision",
}
#: Customers of one search or list.
MOST_FOUND = 50


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
        seconds = 0.0 if self.closes is None else (self.closes - datetime.now(UTC)).total_seconds()
        hours, minutes = divmod(int(max(0.0, seconds)) // 60, 60)
        days, hours_of_day = divmod(hours, 24)
        if days:
            return f"{days} d {hours_of_day} h"
        return f"{hours} h {minutes} min" if hours else f"{minutes} min"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
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
    identities: tuple[Known, ...]
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
    def doubtful(self) -> list[Known]:
        """Return the identities whose number may have a new owner: lately WhatsApp made a new user id for it."""
        since = datetime.now(UTC) - CAUTION_FOR
        return [
            one
            for one in self.identities
            if any(change.field == "bsuid" and change.at > since for change in one.identity.changes.all())
        ]

    @property
    def locale(self) -> str:
        return self.customer.locale or next((one.identity.locale for one in self.identities if one.identity.locale), "")


def whole(customer: Customer) -> CustomerProfile:
    """Read all that a page shows of the customer but the messages. Six queries, whatever there is."""
    identities = list(
        Identity.objects.filter(customer=customer).prefetch_related("aliases", "changes").order_by("created_at")
    )
    windows = _windows(identities)
    consents = _consents(identities)
    merges = _merges([identity.home_id for identity in identities])
    known = tuple(
        Known(
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


def search(term: str, *, by_words: bool = True) -> QuerySet[Customer]:
    """Return customers, as shown now, that a term finds: an id of whatever kind, a number, a handle or a name.

    Not `by_words`: by our own ids alone, for who sees neither names nor numbers. A search would tell them.
    """
    term = term.strip()
    try:
        found = _by_id(uuid.UUID(term))
    except ValueError:
        if not by_words:
            return Customer.objects.none()
        found = _by_term(term)
    exact = Customer.objects.filter(pk__in=found.values("customer"))[:MOST_FOUND]
    if exact or len(term) < 3:  # noqa: PLR2004 - two letters are in every second name
        return exact
    like = Identity.objects.filter(display_name__icontains=term).values("customer")[:MOST_FOUND]
    return Customer.objects.filter(pk__in=list(like.values_list("customer", flat=True)))


def _by_id(pk: uuid.UUID) -> QuerySet[Identity]:
    """Return the identities that an id of ours or of Amazon Connect's leads to, each way by its own index."""
    ways = ("pk", "customer", "home", "conversations", "conversations__contacts")
    first, *others = [Identity.objects.filter(**{way: pk}).values("pk") for way in ways]
    of_connect = Identity.objects.filter(conversations__contacts__initial_contact_id=str(pk)).values("pk")
    return Identity.objects.filter(pk__in=first.union(*others, of_connect))


def _by_term(term: str) -> QuerySet[Identity]:
    """Return the identities with this number, handle or name. Each way by itself: together they would read it all."""
    handle = Identity.objects.alias(low=Lower("handle")).exclude(handle="")
    ways = [
        Identity.objects.filter(external_id=term),
        Identity.objects.filter(aliases__value=term),
        handle.filter(low=Lower(Value(term.removeprefix("@")))),
    ]
    if key := name_key(term):
        ways.append(Identity.objects.filter(name_key=key))
    first, *others = [way.values("pk") for way in ways]
    return Identity.objects.filter(pk__in=first.union(*others))


def latest() -> QuerySet[Customer]:
    """Return the customers of the conversations that spoke last."""
    recent = Conversation.objects.exclude(last_message_at=None).order_by("-last_message_at")[: 4 * MOST_FOUND]
    customers = list(dict.fromkeys(recent.values_list("identity__customer", flat=True)))[:MOST_FOUND]
    return Customer.objects.filter(pk__in=customers)


def _windows(identities: Sequence[Identity]) -> dict[uuid.UUID, list[Window]]:
    conversations = (
        Conversation.objects.filter(identity__in=identities)
        .select_related("account")
        .defer("account__credentials", "account__former_credentials")
        .order_by("created_at")
    )
    contacts = Contact.objects.filter(conversation__identity__in=identities, state__in=OPEN_STATES)
    busy = {contact.conversation_id: contact for contact in contacts.defer("participant_token", "connection_token")}
    windows: dict[uuid.UUID, list[Window]] = defaultdict(list)
    for conversation in conversations:
        closes = window_closes(conversation.account.kind, conversation.last_inbound_at)
        window = Window(conversation=conversation, closes=closes, open_contact=busy.get(conversation.pk))
        windows[conversation.identity_id].append(window)
    return windows


def _consents(identities: Sequence[Identity]) -> dict[uuid.UUID, list[Consent]]:
    """Return the newest decision of each identity and purpose."""
    newest = Consent.objects.filter(identity__in=identities).order_by("identity", "purpose", "-at", "-pk")
    found: dict[uuid.UUID, list[Consent]] = defaultdict(list)
    for consent in newest.distinct("identity", "purpose"):
        found[consent.identity_id].append(consent)
    return found


def _merges(homes: Sequence[uuid.UUID]) -> list[Merge]:
    in_force = Merge.objects.filter(Q(low__in=homes) | Q(high__in=homes), undone_at=None)
    return list(in_force.order_by("-made_at"))


def _recognised_by(identity: Identity, merges: Sequence[Merge]) -> tuple[str, ...]:
    ties = [merge for merge in merges if identity.home_id in (merge.low_id, merge.high_id)]
    return tuple(dict.fromkeys(TIED_BY[merge.method] for merge in ties))


def _name(customer: Customer, known: Sequence[Known]) -> tuple[str, str]:
    """Return the name to show and who gave it."""
    if customer.display_name:
        same = [one.label for one in known if one.identity.display_name == customer.display_name]
        return masked_name(customer.display_name), same[0] if same else "your team"
    first = next((one for one in known if one.identity.display_name or one.identity.handle), None)
    if first is None:
        return str(customer), ""
    return masked_name(first.identity.display_name) or f"@{masked_name(first.identity.handle)}", first.label
