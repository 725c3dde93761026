"""Twilio as it is set up for us: the account, the WhatsApp sender, the address that it calls.

Facts: twilio.com/docs, "Account resource", "Senders API", "Services resource", "ChannelSenders subresource".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from twilio.rest import Client

from channels_app.declarations import Guide
from channels_app.errors import AccountProblem
from channels_app.types import Checked

GUIDE = Guide(
    ready=(
        "A Twilio account with a WhatsApp sender that is online (Messaging, Senders), or the WhatsApp sandbox.",
        "The account SID and the auth token, from the console's first page.",
        "The sender's number.",
    ),
    paste="Parley can set it for you. By hand: Messaging, Senders, WhatsApp senders, your number, “Webhook URL for "
    "incoming messages”. In the sandbox: Messaging, Try it out, Sandbox settings, “When a message comes in”.",
    trap="A Messaging Service that the sender belongs to may override its address. And the address must be the public "
    "one, to the letter: Twilio signs it.",
)
_REGISTER = "Press “Register our address” in the step Webhook."
#: Senders and services that one look reads.
MOST = 200


class Setup:
    """One sender's side of Twilio. `number` is in E.164; `url` is our webhook."""

    def __init__(self, client: Callable[[], AbstractContextManager[Client]], sid: str, number: str, url: str) -> None:
        self._client, self._sid, self._number, self._url = client, sid, number, url

    def points(self) -> Mapping[str, Callable[[], Checked]]:
        return {
            "Credentials": self._credentials,
            "Sender online": self._online,
            "Address for incoming messages": self._address,
            "No Messaging Service in between": self._services,
        }

    def register(self) -> str:
        """Set the sender's address for incoming messages; its other settings stay."""
        with self._client() as client:
            sender = self._sender(client)
            webhook = {**(sender.webhook or {}), "callback_url": self._url, "callback_method": "POST"}
            client.messaging.v2.channels_senders(sender.sid).update(_Json({"webhook": webhook}))
        return "Twilio took our address for the sender's incoming messages."

    def _credentials(self) -> Checked:
        with self._client() as client:
            account = client.api.accounts(self._sid).fetch()
        if account.status != "active":
            fix = "See Twilio's console: an account is suspended for missing payment or for a policy."
            return Checked(ok=False, said=f"Twilio calls the account {account.status}.", fix=fix)
        return Checked(ok=True, said="Twilio knows SID and token; the account is active.")

    def _online(self) -> Checked:
        with self._client() as client:
            status = str(self._sender(client).status)
        if status.partition(":")[0] != "ONLINE":
            fix = "Finish the sender's registration in Twilio's console (Messaging, Senders)."
            return Checked(ok=False, said=f"Twilio calls the sender {status}.", fix=fix)
        return Checked(ok=True, said="The sender is online.")

    def _address(self) -> Checked:
        with self._client() as client:
            theirs = str((self._sender(client).webhook or {}).get("callback_url") or "")
        if theirs != self._url:
            said = "Twilio calls another address." if theirs else "Twilio has no address to call."
            return Checked(ok=False, said=said, fix=_REGISTER, ours=self._url, theirs=theirs or "none")
        return Checked(ok=True, said="Twilio calls our address for incoming messages.")

    def _services(self) -> Checked:
        with self._client() as client:
            ours = self._sender(client).sid
            for service in client.messaging.v1.services.list(limit=MOST):
                if service.use_inbound_webhook_on_number or service.inbound_request_url == self._url:
                    continue
                senders = client.messaging.v1.services(service.sid).channel_senders.list(limit=MOST)
                if any(sender.sid == ours for sender in senders):
                    fix = "In that service choose “Defer to sender's webhook”, or enter our address there."
                    said = f"The sender is in the Messaging Service “{service.friendly_name}”, which overrides it."
                    theirs = service.inbound_request_url or "none: it drops what comes in"
                    return Checked(ok=False, said=said, fix=fix, ours=self._url, theirs=theirs)
        return Checked(ok=True, said="No Messaging Service overrides the sender's address.")

    def _sender(self, client: Client) -> Any:
        own_id = f"whatsapp:{self._number}"
        senders = client.messaging.v2.channels_senders.list(channel="whatsapp", limit=MOST)
        sender = next((candidate for candidate in senders if candidate.sender_id == own_id), None)
        if sender is None:
            raise AccountProblem("Twilio lists no WhatsApp sender with this number", provider_code="63007")
        return sender


class _Json(dict[str, Any]):
    """A JSON body in the form that the SDK asks for."""

    def to_dict(self) -> dict[str, Any]:
        return dict(self)
