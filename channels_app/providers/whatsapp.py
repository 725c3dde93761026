"""WhatsApp through Twilio.

Facts: twilio.com/docs, "Messaging webhook request", "WhatsApp: key concepts", "Messages resource".
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Annotated
from urllib.parse import parse_qsl, quote, urlencode

import msgspec
from twilio.rest import Client

from channels_app import types
from channels_app.channel import Channel
from channels_app.errors import UnknownOutcome
from channels_app.platforms import setup_by_api, twilio, twilio_codes, twilio_setup
from channels_app.platforms.twilio_contents import PHONE, PREFIX, parts_of, reaction_in, referral_of, sender_of
from channels_app.toolkit.json_body import read_object
from channels_app.toolkit.payloads import key_of, misaddressed, unrecognised
from channels_app.toolkit.signatures import Credentials
from channels_app.toolkit.text import TextLimit
from channels_app.toolkit.vcards import LARGEST
from channels_app.types import InboundEvent, Secret, Sender, VerifiedWebhook, WebhookRequest

#: Free text is allowed for so long after the customer's last message; then only templates.
WINDOW = timedelta(hours=24)


class Config(Credentials, frozen=True, kw_only=True):
    """One WhatsApp sender of a Twilio account."""

    account_sid: Annotated[
        str,
        msgspec.Meta(pattern=r"\AAC[0-9a-zA-Z]{1,64}\Z", description="Account SID, AC…", examples=["AC" + "0" * 32]),
    ]
    auth_token: Annotated[Secret, msgspec.Meta(description="Auth token; Twilio signs webhooks with it.")]
    number: Annotated[
        str,
        msgspec.Meta(
            pattern=r"\A(whatsapp:)?\+[1-9][0-9]{5,14}\Z",
            description="Number that customers write to, e.g. +34600111222.",
            examples=["+34600000000"],
        ),
    ]


class WhatsApp(setup_by_api.SetUpByApi, Channel[Config]):
    """One WhatsApp sender. Customers are known by their number or, without one, by a business-scoped user id."""

    kind = "whatsapp"
    label = "WhatsApp (Twilio)"
    text_limit = TextLimit(most=1_600)
    api, sdk_loggers, kept_headers = twilio.API, ("twilio",), ("i-twilio-idempotency-token",)
    glyph = '<rect x="6.5" y="2.8" width="11" height="18.4" rx="2.6"/><path d="M9.6 10.2h4.8M9.6 13.2h3"/>'
    Config, guide, codes, advice = Config, twilio_setup.GUIDE, twilio_codes.CODES, twilio_codes.ADVICE

    @property
    def address(self) -> str:
        return self.config.number.removeprefix(PREFIX)

    def verify(self, request: WebhookRequest) -> VerifiedWebhook:
        return twilio.verify(request, self.config.auth_token)

    def acknowledge(self, status: str) -> types.Answer:  # noqa: ARG002 - whatever became of it
        return twilio.NOTHING

    @staticmethod
    def chat_link(address: str, greeting: str, code: str) -> str:
        """Fill the customer's first message in (WhatsApp Help Center, "How to use click to chat")."""
        return f"https://wa.me/{address.removeprefix('+')}?text={quote(f'{greeting} {code}', safe='')}"

    @staticmethod
    def window_closes(last_inbound_at: datetime) -> datetime:
        return last_inbound_at + WINDOW

    def parse(self, webhook: VerifiedWebhook) -> list[InboundEvent]:
        if twilio.media_type(webhook) == twilio.JSON:
            return [unrecognised(self.address, "json", read_object(webhook.body))]
        form = twilio.fields_of(webhook)
        sid = twilio.message_sid(form)
        writer, reader = form.get("From", ""), form.get("To", "")
        status = twilio.status_of(form)
        is_receipt = status not in ("received", "receiving")
        us = PREFIX + self.address
        if form.get("AccountSid") != self.config.account_sid or us not in (writer, *([] if is_receipt else [reader])):
            return [misaddressed(self.address, reader, form)]
        if is_receipt:
            return [self._receipt(form, sid, status, dict(parse_qsl(webhook.query)).get("outbox", ""))]
        if writer == us:
            return [self._echo(form, sid, reader)]
        return [_message(form, sid), *_consent(form, sid)]

    def _echo(self, form: Mapping[str, str], sid: str, reader: str) -> InboundEvent:
        """Read what went from our own number, e.g. from the phone app: to a customer, or to ourselves."""
        ourselves = reader == PREFIX + self.address
        them = {name: value for name, value in form.items() if not name.startswith(("WaId", "Profile", "External"))}
        sender = Sender(external_id=self.address) if ourselves else sender_of(them, reader)
        text, parts = form.get("Body", ""), tuple(parts_of(form))
        return types.Echoed(key=key_of("m", sid), sender=sender, message_id=sid, text=text, parts=parts)

    def _receipt(self, form: Mapping[str, str], sid: str, status: str, correlation: str) -> InboundEvent:
        if status not in twilio.STATUSES:
            return unrecognised(self.address, f"status {status}", dict(form))
        return types.ReceiptReceived(
            key=key_of(f"r:{status}", sid),
            sender=sender_of(form, form.get("To", "")),
            status=twilio.STATUSES[status],
            message_ids=(sid,),
            correlation=correlation,
            error_code=twilio.code_of(form.get("ErrorCode")),
            error_detail=form.get("ChannelStatusMessage") or form.get("ErrorMessage", ""),
        )

    def send(self, message: types.OutboundMessage) -> types.SendReceipt:
        """POST Messages.json. No idempotency key: the status callback's URL carries ours and tells what arrived."""
        with self._client() as client:
            sent = client.messages.create(
                to=PREFIX + message.recipient,
                from_=PREFIX + self.address,
                body=message.text,
                status_callback=f"{self.webhook_url}?{urlencode({'outbox': message.correlation})}",
            )
        if not isinstance(sent.sid, str):
            raise UnknownOutcome("Twilio answered without a message id")
        return types.SendReceipt(message_ids=(sent.sid,))

    def find_sent(self, message: types.OutboundMessage, since: datetime) -> types.FoundSent:
        """GET Messages.json by To and From. A message that is queued has no DateSent, so that is not asked for."""
        with self._client() as client:
            ends = {"to": PREFIX + message.recipient, "from_": PREFIX + self.address}
            sent = twilio.find_sent(client, ends, message.text, since)
        # Twilio may list a message to a user id under the number: then that it lists none says nothing.
        return sent if PHONE.fullmatch(message.recipient) else msgspec.structs.replace(sent, complete=False)

    def list_inbound(self, since: datetime) -> types.ListedInbound:
        """GET Messages.json by To: Twilio gives up on a webhook after 15 s, by default after one repetition."""
        with self._client() as client:
            return twilio.list_received(client, PREFIX + self.address, since)

    def list_sent(self, since: datetime) -> types.ListedSent:
        with self._client() as client:
            return twilio.list_sent(client, PREFIX + self.address, since)

    def as_webhook(self, listed: types.Listed) -> VerifiedWebhook:
        with self._client() as client:
            return twilio.as_form(client, self.webhook_url, listed)

    def read_card(self, media_ref: str) -> str:
        sid, token = self.config.account_sid, self.config.auth_token
        return twilio.read_file(self.http, sid, token, media_ref, LARGEST).decode("utf-8", "replace")

    @property
    def setup(self) -> twilio_setup.Setup:
        return twilio_setup.Setup(self._client, self.config.account_sid, self.address, self.webhook_url)

    def _client(self) -> AbstractContextManager[Client]:
        return twilio.client(self.http, self.config.account_sid, self.config.auth_token)


def _message(form: Mapping[str, str], sid: str) -> InboundEvent:
    sender, about = sender_of(form, form.get("From", "")), form.get("OriginalRepliedMessageSid", "")
    if (emoji := reaction_in(form)) is not None:
        return types.Reacted(key=key_of("m", sid), sender=sender, message_id=about, emoji=emoji)
    title = form.get("ButtonText") or form.get("ListTitle") or ""
    text, picked = form.get("Body") or title, form.get("ButtonPayload") or form.get("ListId", "")
    return types.MessageReceived(
        key=key_of("m", sid),
        sender=sender,
        message_id=sid,
        text=text,
        parts=tuple(parts_of(form)),
        reply_to=about,
        selection=types.Selection(title=title, id=picked) if title or picked else None,
        referral=referral_of(form),
        forwarded="true" in (form.get("Forwarded"), form.get("FrequentlyForwarded")),
    )


def _consent(form: Mapping[str, str], sid: str) -> list[InboundEvent]:
    """STOP and START, when Twilio's Advanced Opt-Out recognised them: besides the message, not instead of it."""
    word = form.get("OptOutType", "")
    if word not in ("STOP", "START"):
        return []
    sender = sender_of(form, form.get("From", ""))
    return [types.ConsentChanged(key=key_of("c", sid), sender=sender, granted=word == "START", topic=word)]


channel = WhatsApp
