"""Facebook Messenger: one Page, over Graph.

Facts: developers.facebook.com, Messenger Platform, "Webhook events" and "Send API".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any

import msgspec

from channels_app import types
from channels_app.channel import Channel
from channels_app.errors import UnknownOutcome, Unusable
from channels_app.platforms import meta, meta_codes, meta_contents, meta_events, meta_setup, setup_by_api
from channels_app.platforms.meta_events import About
from channels_app.toolkit import json_body, payloads
from channels_app.toolkit.payloads import Id, Payload, PersonId, Piece, key_of, object_at, short_id, text_at
from channels_app.toolkit.signatures import Credentials
from channels_app.toolkit.text import TextLimit
from channels_app.types import InboundEvent, Secret, Sender, VerifiedWebhook, WebhookRequest

#: Free text is allowed for so long after the customer's last message. Source: "Messenger Platform policy overview".
WINDOW = timedelta(hours=24)
#: What Meta must tell us: what customers write and tap, and what became of our own messages.
NEEDED = ("messages", "messaging_postbacks", "message_deliveries", "message_reads", "message_echoes")

#: What else customers do there, and what Meta does: without these fields it never comes.
WANTED = (
    "message_reactions", "message_edits", "messaging_referrals", "messaging_optins", "messaging_handovers", "standby",
    "messaging_policy_enforcement", "messaging_account_linking", "messaging_feedback",
    "messaging_customer_information", "messaging_in_thread_lead_form_submit",
)  # fmt: skip


class Config(Credentials, frozen=True, kw_only=True):
    """One Page and the Meta app that it is connected to."""

    app_secret: Annotated[Secret, msgspec.Meta(description="App secret of your Meta app; Meta signs webhooks with it.")]
    page_id: Annotated[PersonId, msgspec.Meta(description="Id of the Page that customers write to.", examples=["200"])]
    page_access_token: Annotated[Secret, msgspec.Meta(description="Page access token with pages_messaging.")]
    verify_token: Annotated[Secret, msgspec.Meta(description="The same as in the app's webhook settings.")] = Secret("")


class _Party(Payload, frozen=True):
    id: PersonId


class _Item(Payload, frozen=True):
    recipient: _Party
    sender: _Party | None = None
    timestamp: int | str | None = None


class _Message(Payload, frozen=True):
    mid: Id
    text: str | None = None
    is_echo: bool | str = False
    is_deleted: bool | str = False
    metadata: Any = None
    quick_reply: Any = None
    reply_to: Any = None
    referral: Any = None


class Messenger(setup_by_api.SetUpByApi, Channel[Config]):
    """One Facebook Page. Customers are known by a PSID, which means somebody only together with the Page."""

    kind, label, text_limit = "messenger", "Messenger", TextLimit(most=2_000)
    api = meta.API
    glyph = (
        '<circle cx="9.5" cy="10" r="6.2"/>'
        '<path d="M16.8 8.7a5.6 5.6 0 0 1 2.3 9.1l.7 2.7-2.9-1.3a5.6 5.6 0 0 1-6.1-.9"/>'
    )
    max_body, chat_link = meta.MAX_BODY, staticmethod(meta.chat_link)
    Config, guide, codes, advice = Config, meta_setup.GUIDE, meta_codes.CODES, meta_codes.ADVICE

    @property
    def address(self) -> str:
        return self.config.page_id

    def verify(self, request: WebhookRequest) -> VerifiedWebhook:
        return meta.verify(request, self.config.app_secret)

    def handshake(self, request: WebhookRequest) -> types.Answer:
        return meta.handshake(request, self.config.verify_token)

    @staticmethod
    def window_closes(last_inbound_at: datetime) -> datetime:
        return last_inbound_at + WINDOW

    def parse(self, webhook: VerifiedWebhook) -> list[InboundEvent]:
        body = json_body.read_object(webhook.body)
        if not isinstance(body.get("entry"), list):
            raise Unusable("no entries")
        return payloads.read_each(self._pieces(body["entry"]), self.address)

    def _pieces(self, entries: list[Any]) -> Iterator[Piece]:
        """Take the batch apart. `standby` holds what another app, which owns the thread, has to answer."""
        standing_by = partial(
            meta_events.account_changed, self.address, "standby", "another app answers a customer of this Page"
        )
        for entry in entries:
            page, fields = text_at(entry, "id"), object_at(entry)
            for name in filter(fields.__contains__, ("messaging", "standby", "changes")):
                events = fields[name]
                read: Any = {"messaging": self._item, "standby": standing_by}.get(name, self._change)
                if page != self.address:
                    read = partial(payloads.misaddressed, self.address, page)
                yield from ((read, raw) for raw in (events if isinstance(events, list) else [events]))

    def _change(self, raw: Any) -> InboundEvent:
        """Read an event that comes by the name of its field: the pages on single events show them so."""
        value, us = object_at(raw, "value"), self.address
        ours = us in (text_at(value, "recipient", "id"), text_at(value, "sender", "id"))
        return self._item(value) if ours else payloads.unrecognised(us, "changes", raw)

    def _item(self, raw: Any) -> InboundEvent:
        item, us = payloads.read_as(_Item, raw), self.address
        writer = item.sender.id if item.sender else us
        customer = item.recipient.id if writer == us else writer
        if us not in (writer, item.recipient.id):
            return payloads.misaddressed(us, item.recipient.id, raw)
        likely = _READERS.keys() if writer != us else {"message"} if customer != us else _POLICY
        names = [name for name in raw if name not in ("sender", "recipient", "timestamp")]
        if handed := next((name for name in names if name in _HANDOVERS), None):
            return meta_events.account_changed(us, "handover", meta_contents.owner_changed(handed, raw[handed]), raw)
        kind = next((name for name in names if name in likely), None)
        if kind is None:
            return payloads.unrecognised(us, " ".join(names), raw)
        sender = Sender(external_id=customer, issuer=us)
        return _READERS[kind](About(sender, payloads.moment(item.timestamp), raw, writer == us), raw[kind])

    def send(self, message: types.OutboundMessage) -> types.SendReceipt:
        """POST /{page}/messages. No idempotency key: `metadata` comes back in the echo and tells what arrived."""
        content = {"text": message.text, "metadata": message.correlation}
        body = {"recipient": {"id": message.recipient}, "messaging_type": "RESPONSE", "message": content}
        message_id = text_at(self._graph.call("POST", f"{self.address}/messages", json=body), "message_id")
        if not message_id:
            raise UnknownOutcome("Graph answered without a message id")
        return types.SendReceipt(message_ids=(message_id,))

    def look_up_profile(self, external_id: str) -> dict[str, str]:
        """Ask for name and picture. Error 230, "no profile consent", means that nothing is known."""
        return self._graph.profile(external_id)

    def unsubscribed(self) -> str:
        return self._graph.unsubscribed(self.address, NEEDED)

    def subscribe(self) -> None:
        self._graph.subscribe(self.address, NEEDED, WANTED)

    @property
    def setup(self) -> meta_setup.Setup:
        return meta_setup.Setup(self.http, self._graph, self.config, self.webhook_url, (NEEDED, WANTED))

    @property
    def _graph(self) -> meta.Graph:
        return meta.Graph(self.http, self.config.page_access_token, self.config.app_secret)


def _message(about: About, raw: Any) -> InboundEvent:
    message, sender = payloads.read_as(_Message, raw), about.sender
    key, name, text = key_of("m", message.mid), short_id(message.mid), message.text or meta_contents.likes(raw)
    parts = () if text and not message.text else tuple(meta_contents.parts_of(raw))
    deleted, echo = (flag in (True, "true") for flag in (message.is_deleted, message.is_echo))  # either is reported
    if deleted and about.by_us:
        return payloads.unrecognised(sender.issuer, "our own unsending", raw)
    if deleted:
        return types.MessageUnsent(key=key_of("u", message.mid), sender=sender, message_id=name)
    if echo or about.by_us:
        ours, app, at = text_at(message.metadata), meta_contents.app_of(raw), about.occurred_at
        return types.Echoed(
            key=key, sender=sender, occurred_at=at, message_id=name, text=text, correlation=ours, parts=parts, app=app
        )
    picked = types.Selection(title=text, id=text_at(message.quick_reply, "payload"))
    return types.MessageReceived(
        key=key,
        sender=sender,
        occurred_at=about.occurred_at,
        message_id=name,
        text=text,
        parts=parts,
        reply_to=short_id(text_at(message.reply_to, "mid")),
        selection=picked if message.quick_reply else None,
        referral=meta.referral(message.referral),
    )


#: Both spellings are in Meta's pages.
_POLICY = {"policy-enforcement", "policy_enforcement"}
_HANDOVERS = frozenset(("pass_thread_control", "take_thread_control", "request_thread_control", "app_roles"))
_READERS: dict[str, Callable[[About, Any], InboundEvent]] = {
    "message": _message,
    "postback": meta_events.postback,
    "reaction": meta_events.reaction,
    "message_edit": meta_events.edited,
    "read": partial(meta_events.receipt, types.ReceiptStatus.READ),
    "delivery": partial(meta_events.receipt, types.ReceiptStatus.DELIVERED),
    "optin": meta_events.consent,
    "referral": meta_events.referred,
    "account_linking": meta_events.linked,
    **dict.fromkeys(("messaging_feedback", "response_feedback"), meta_events.rated),
    "messaging_customer_information": partial(meta_events.filled_in, "address"),
    **dict.fromkeys(
        ("messaging_in_thread_lead_form_submit", "lead_form_submit"), partial(meta_events.filled_in, "lead form")
    ),
    **dict.fromkeys(_POLICY, meta_events.enforced),
}

channel = Messenger
