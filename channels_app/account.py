"""An account of ours, ready for use. The one place where credentials become a channel."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import msgspec
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from channels_app.channel import Channel
from channels_app.errors import AccountProblem
from channels_app.models import ChannelAccount
from channels_app.registry import channels
from channels_app.toolkit.http import Http, Tracer, ignore_trace


@dataclass(frozen=True, slots=True)
class Account:
    """An enabled account. `former` checks with the replaced credentials and counts until `former_until`.

    What follows `former_until` are settings: columns of the account's row, by their names.
    """

    id: uuid.UUID
    kind: str
    address: str
    channel: Channel[Any]
    former: Channel[Any] | None = None
    former_until: datetime | None = None
    redact: bool = False

    def channels_at(self, now: datetime) -> Iterator[Channel[Any]]:
        """Yield the channels whose credentials are valid, the current first."""
        yield self.channel
        if self.former is not None and self.former_until is not None and now < self.former_until:
            yield self.former


#: Columns of the row that an account carries along.
SETTINGS = tuple(field.name for field in fields(Account))[6:]


def webhook_url(kind: str, account: uuid.UUID) -> str:
    """Return the public address to give to the provider."""
    return f"{settings.PUBLIC_BASE_URL}/webhooks/{kind}/{account}/"


def make_channel(
    kind: str, account: uuid.UUID, credentials: Mapping[str, str], trace: Tracer = ignore_trace
) -> Channel[Any]:
    """Return an account's channel; raise AccountProblem, which names no secret. Its calls go where settings say.

    Nobody is asked whether the credentials are true.
    """
    try:
        channel = channels()[kind]
        config = channel.read_config(dict(credentials))
    except KeyError:
        raise AccountProblem(f"this release has no channel {kind!r}; disable or delete the account") from None
    except msgspec.ValidationError as problem:
        raise AccountProblem(f"the stored credentials do not fit the channel, save them anew: {problem}") from None
    return channel(config, Http(settings.HTTP_REDIRECTS, trace), webhook_url(kind, account))


def open_account(row: ChannelAccount, trace: Tracer = ignore_trace) -> Account:
    """Return the row's account with its channel; raise AccountProblem, which names no secret, if it cannot be used."""
    try:
        credentials = row.credentials
    except ImproperlyConfigured as problem:  # a credential that was not loaded with the row, and no key opens it
        raise AccountProblem(str(problem)) from None
    channel = make_channel(row.kind, row.pk, credentials, trace)
    return Account(row.pk, row.kind, row.address, channel, **{name: getattr(row, name) for name in SETTINGS})
