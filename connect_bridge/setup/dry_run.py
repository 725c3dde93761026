"""What would happen if a customer wrote this now: which replies they would get, and the request to Amazon Connect."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from channels_app.accounts.opening_hours import Opening, chosen
from channels_app.infrastructure.rows import read_rows
from channels_app.models import ChannelAccount
from channels_app.reply_occasions import CLOSED, GREETING, PAUSED
from connect_bridge.connect.control_plane import start_chat_arguments
from connect_bridge.connect.gateway import ChatRequest
from connect_bridge.relay.chat_request import attributes_for, display_name, routing
from connect_bridge.relay.chunking import shown
from connect_bridge.storage.account_settings import READ_ONE, AccountSettings, Rule, read
from connect_bridge.storage.chats import Origin

#: Stands for ids that are made only when the chat starts.
NOT_YET = "(made when it starts)"


@dataclass(frozen=True, slots=True)
class DryRun:
    """`replies`: occasions with the texts that the customer would get, in order. `request`: JSON, "" for no chat."""

    opening: Opening
    rule: Rule | None
    replies: Sequence[tuple[str, str]]
    request: str
    missing: bool

    @property
    def starts(self) -> bool:
        return bool(self.request)


def settings_of(account: ChannelAccount) -> AccountSettings:
    """Return the account's settings as the bridges read them."""
    (row,) = read_rows(dict, READ_ONE, {"account": account.pk})
    return read({name: _parsed(name, value) for name, value in row.items()})


def simulate(account: ChannelAccount, text: str, locale: str, at: datetime | None = None) -> DryRun:
    """Return what would happen. Nothing is started, and nothing is sent."""
    settings = settings_of(account)
    opening, rule = settings.opening(at or timezone.now()), settings.rule_for(text)
    origin = _origin(account, locale)
    where = routing(origin, rule)
    starts = settings.paused_since is None and (opening.open or settings.closed_starts_chat)
    replies = _replies(settings, locale, opening, starts=starts)
    request = _request(origin, rule, where, shown(text)) if starts and all(where) else ""
    return DryRun(opening, rule, replies, request, missing=starts and not all(where))


def _replies(settings: AccountSettings, locale: str, opening: Opening, *, starts: bool) -> list[tuple[str, str]]:
    occasions = [
        (PAUSED, settings.paused_since is not None),
        (CLOSED, settings.paused_since is None and not opening.open),
        (GREETING, starts),
    ]
    texts = [
        (occasion.key, chosen(settings.replies.get(occasion.key, {}), locale, settings.default_language))
        for occasion, fits in occasions
        if fits
    ]
    return [(key, text) for key, text in texts if text]


def _request(origin: Origin, rule: Rule | None, where: tuple[str, str], first: str) -> str:
    attributes = attributes_for(origin, rule, uuid.UUID(int=0), {"customer_id": NOT_YET, "customer_page": NOT_YET})
    request = ChatRequest(
        instance_id=where[0],
        flow_id=where[1],
        display_name=display_name(origin, ""),
        attributes={**attributes, "identity_id": NOT_YET, "conversation_id": NOT_YET},
        initial_message=first,
        client_token=NOT_YET,
    )
    return json.dumps(start_chat_arguments(request), indent=2, ensure_ascii=False)


def _origin(account: ChannelAccount, locale: str) -> Origin:
    """Return what the bridge would know of a customer who writes for the first time."""
    nobody = uuid.UUID(int=0)
    return Origin(
        kind=account.kind,
        account=account.pk,
        account_name=account.name,
        address=account.address,
        instance_id=account.connect_instance_id,
        flow_id=account.connect_contact_flow_id,
        attributes=account.attributes or {},
        customer=nobody,
        identity=nobody,
        external_id="",
        display_name="Ana Example",
        handle="",
        locale=locale,
        version=timezone.now(),
    )


def _parsed(name: str, value: Any) -> Any:
    """Parse what Django's cursors leave as text: columns of JSON."""
    return json.loads(value) if name in ("hours", "replies", "rules") and isinstance(value, str) else value
