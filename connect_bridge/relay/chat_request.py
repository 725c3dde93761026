"""What Amazon Connect is told of a new chat: one place, for the bridge that asks and for the page that shows it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from django.conf import settings

from channels_app.toolkit.text import is_blank
from connect_bridge.connect.markers import escaped_name
from connect_bridge.relay.customer_context import fit
from connect_bridge.storage.account_settings import Rule
from connect_bridge.storage.chats import Origin

#: Connect's limit for a display name (StartChatContact).
LONGEST_NAME = 256


def routing(origin: Origin, rule: Rule | None) -> tuple[str, str]:
    """Return the Connect instance and flow: a rule's, the account's, else the settings'. Each may be missing: ""."""
    instance = origin.instance_id or settings.CONNECT_INSTANCE_ID
    flow = (rule.flow_id if rule else "") or origin.flow_id or settings.CONNECT_CONTACT_FLOW_ID
    return instance, flow


def display_name(origin: Origin, name: str) -> str:
    """Return what the agent sees in the place of a name: the messenger's, the customer's, at least something.

    Never one that is blank, which Connect refuses, nor one that looks like ours.
    """
    known = (escaped_name(one) for one in (origin.display_name, name, origin.handle))
    return _cut(next((one for one in known if not is_blank(one)), "Customer"))


def _cut(name: str) -> str:
    """Return as much of a name as Connect takes. What it counts is not said: so as UTF-16, which is never less."""
    return name.encode("utf-16-le", "ignore")[: 2 * LONGEST_NAME].decode("utf-16-le", "ignore")


def attributes_for(
    origin: Origin, rule: Rule | None, conversation: uuid.UUID, of_customer: Mapping[str, str]
) -> dict[str, str]:
    """Return the contact attributes. Where Connect's limit leaves no room for all, what Parley says comes first."""
    own = {
        "channel": origin.kind,
        "channel_account": origin.account_name,
        "channel_account_id": str(origin.account),
        "channel_address": origin.address,
        "identity_id": str(origin.identity),
        "conversation_id": str(conversation),
        "customer_handle": origin.handle,
        "locale": origin.locale,
    }
    given = {**origin.attributes, **(rule.attributes if rule else {})}
    asked = [(str(key), str(value)) for key, value in given.items()]
    return fit([*own.items(), *of_customer.items(), *asked])
