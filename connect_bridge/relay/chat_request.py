"""What a StartChatContact request says: in one place, for the bridge that sends it and the page that shows it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from django.conf import settings

from channels_app.toolkit.text import is_blank
from connect_bridge.connect.gateway import Continued
from connect_bridge.connect.markers import escaped_name
from connect_bridge.models import ContactState
from connect_bridge.relay.customer_context import Context, fit
from connect_bridge.storage.account_settings import Rule
from connect_bridge.storage.chats import Origin

#: Connect's limit for a display name (StartChatContact).
LONGEST_NAME = 256
#: Connect lets a chat be continued once its transcript is stored, which takes about half a minute ("persistent chat").
TRANSCRIPT_STORED_AFTER = timedelta(minutes=1)


def routing(origin: Origin, rule: Rule | None) -> tuple[str, str]:
    """Return the Connect instance and flow: a rule's, the account's, else the settings'. Each may be missing: ""."""
    instance = origin.instance_id or settings.CONNECT_INSTANCE_ID
    flow = (rule.flow_id if rule else "") or origin.flow_id or settings.CONNECT_CONTACT_FLOW_ID
    return instance, flow


def display_name(origin: Origin, name: str) -> str:
    """Return what the agent sees in the place of a name: the messenger's, the customer's, at least something.

    Never one that is blank, which Connect refuses, nor one that looks like ours.
    """
    names = (escaped_name(candidate) for candidate in (origin.display_name, name, origin.handle))
    return _cut(next((candidate for candidate in names if not is_blank(candidate)), "Customer"))


def _cut(name: str) -> str:
    """Return as much of a name as Connect takes. What it counts is not said: so as UTF-16, which is never less."""
    return name.encode("utf-16-le", "ignore")[: 2 * LONGEST_NAME].decode("utf-16-le", "ignore")


def attributes_for(
    origin: Origin, rule: Rule | None, conversation: uuid.UUID, of_customer: Mapping[str, str]
) -> dict[str, str]:
    """Return the contact attributes. Where Connect's limit leaves no room for all, Parley's own come first."""
    parleys = {
        "channel": origin.kind,
        "channel_account": origin.account_name,
        "channel_account_id": str(origin.account),
        "channel_address": origin.address,
        "identity_id": str(origin.identity),
        "conversation_id": str(conversation),
        "customer_handle": origin.handle,
        "locale": origin.locale,
    }
    configured = {**origin.attributes, **(rule.attributes if rule else {})}
    accounts = [(str(key), str(value)) for key, value in configured.items()]
    return fit([*parleys.items(), *of_customer.items(), *accounts])


def continued(context: Context, instance: str) -> Continued | None:
    """Return the chat whose transcript the new one shows first, if settings ask for that and Connect can have it.

    Never another person's: what a person's decision alone ties together is not shown in a chat.
    """
    kind, previous = settings.CONNECT_PERSISTENT_CHAT, context.last_chat
    if not kind or previous is None or context.certainty == "decided" or previous.state != ContactState.ENDED:
        return None
    if previous.instance_id != instance or previous.ended_at is None:
        return None
    if datetime.now(UTC) - previous.ended_at < TRANSCRIPT_STORED_AFTER:
        return None
    source = previous.contact_id if kind == "FROM_SEGMENT" else previous.initial_contact_id
    return Continued(source_contact_id=source, kind=kind)
