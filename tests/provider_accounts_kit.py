"""Our accounts at the simulated providers, and customers who write to them."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from channels_app.models import ChannelAccount
from channels_app.registry import channels
from tests.factories import ChannelAccountFactory
from tests.sandbox.kit import RunningWorld
from tests.sandbox.messengers_kit import ADDRESSES, CREDENTIALS, CUSTOMERS

#: Messengers that can be asked for what they have sent and taken.
LISTING = ["twitter", "whatsapp"]


def redirects(world: str) -> dict[str, str]:
    """Return HTTP_REDIRECTS that lead every provider's API to a simulated world."""
    return {
        "https://api.twitter.com": f"{world}/x",
        "https://graph.facebook.com": f"{world}/graph",
        "https://api.twilio.com": f"{world}/twilio",
        "https://messaging.twilio.com": f"{world}/twilio",
    }


def account_on(world: RunningWorld, kind: str) -> ChannelAccount:
    """Set up an account a day ago, there and here, whose webhooks go nowhere."""
    world.call("POST", "/phones/accounts", {"kind": kind, "webhook_url": "", "credentials": CREDENTIALS[kind]})
    keys = channels()[kind].Config.__struct_fields__
    credentials = {key: value for key, value in CREDENTIALS[kind].items() if key in keys}
    account: ChannelAccount = ChannelAccountFactory(kind=kind, address=ADDRESSES[kind], credentials=credentials)
    ChannelAccount.objects.filter(pk=account.pk).update(created_at=timezone.now() - timedelta(days=1))
    account.refresh_from_db()
    return account


def write(world: RunningWorld, kind: str, *texts: str) -> None:
    for text in texts:
        wrote = {"from": CUSTOMERS[kind], "content": {"type": "text", "text": text}}
        world.call("POST", f"/phones/{kind}/{ADDRESSES[kind]}/messages", wrote)
