"""Pigeon, a messenger that does not exist: all that a channel's author writes, for test_one_more_channel.py.

The tests put this folder beside channels_app/providers/, so the file stands where every provider does.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from channels_app import types
from channels_app.channel import Channel
from channels_app.declarations import Api
from channels_app.errors import Blocked, UnknownOutcome
from channels_app.toolkit import payloads
from channels_app.toolkit.http_errors import refusal
from channels_app.toolkit.json_body import read_object
from channels_app.toolkit.payloads import Id, Payload, PersonId, key_of, short_id, text_at
from channels_app.toolkit.signatures import Credentials, hmac_sha256, require_same, signature_of
from channels_app.toolkit.text import TextLimit

API = Api(setting="PIGEON_API_BASE_URL", addresses=("https://api.pigeon.example",))


class Config(Credentials, frozen=True, kw_only=True):
    """One loft."""

    loft: Annotated[PersonId, msgspec.Meta(description="Id of the loft that customers write to.", examples=["loft-1"])]
    ring_key: Annotated[types.Secret, msgspec.Meta(description="Key on the ring; Pigeon signs webhooks with it.")]


class _Letter(Payload, frozen=True):
    id: Id
    writer: PersonId
    text: str = ""


class Pigeon(Channel[Config]):
    """One loft. Customers are known by the number of their bird."""

    kind, label, text_limit = "pigeon", "Pigeon post", TextLimit(most=300)
    Config, api = Config, API
    glyph = '<path d="M3 12c4-6 8-6 11-3l7-2-5 6c-2 5-8 6-13-1Z"/>'
    codes = {"NEST": Blocked}
    sdk_loggers, kept_headers = ("pigeonlib",), ("pigeon-flight",)

    @property
    def address(self) -> str:
        return self.config.loft

    def verify(self, request: types.WebhookRequest) -> types.VerifiedWebhook:
        expected = hmac_sha256(self.config.ring_key, request.body).hex()
        require_same(expected.encode(), signature_of(request, "pigeon-signature"))
        return types.VerifiedWebhook(request)

    def parse(self, webhook: types.VerifiedWebhook) -> list[types.InboundEvent]:
        body = read_object(webhook.body)
        return payloads.read_each([(self._letter, raw) for raw in payloads.list_at(body, "letters")], self.address)

    def _letter(self, raw: Any) -> types.InboundEvent:
        letter = payloads.read_as(_Letter, raw)
        return types.MessageReceived(
            key=key_of("m", letter.id),
            sender=types.Sender(external_id=letter.writer),
            message_id=short_id(letter.id),
            text=letter.text,
        )

    def send(self, message: types.OutboundMessage) -> types.SendReceipt:
        form = {"to": message.recipient, "text": message.text}
        answer = self.http.request("POST", f"{API.addresses[0]}/letters", json=form)
        body = read_object(answer.content)
        if not answer.ok:
            code = text_at(body, "code")
            raise refusal(answer.status_code, text_at(body, "message"), code, kind=self.meaning(code))
        if not text_at(body, "id"):
            raise UnknownOutcome("Pigeon answered without an id")
        return types.SendReceipt(message_ids=(text_at(body, "id"),))


channel = Pigeon
