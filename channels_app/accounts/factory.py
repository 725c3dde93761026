"""An account's row, ready for use outside the lanes: by whoever asks a provider or reads an old webhook again."""

from __future__ import annotations

from typing import Any

import msgspec
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from channels_app.accounts.service import webhook_url
from channels_app.channel import Channel
from channels_app.errors import AccountProblem
from channels_app.models import ChannelAccount
from channels_app.registry import channels
from channels_app.toolkit.http import Http, Tracer, ignore_trace
from channels_app.webhooks.account_cache import Account


def open_account(row: ChannelAccount, trace: Tracer = ignore_trace) -> Account:
    """Return the account with its channel; raise AccountProblem, which names no secret, if it cannot be used."""
    try:
        kind: type[Channel[Any]] = channels()[row.kind]
        config = kind.read_config(row.credentials)
    except KeyError:
        raise AccountProblem(f"this release has no channel {row.kind!r}; disable or delete the account") from None
    except ImproperlyConfigured as problem:
        raise AccountProblem(str(problem)) from None
    except msgspec.ValidationError as problem:
        raise AccountProblem(f"the stored credentials do not fit the channel, save them anew: {problem}") from None
    channel = kind(config, Http(settings.HTTP_REDIRECTS, trace), webhook_url(row))
    return Account(row.pk, row.kind, row.address, channel, redact=row.redact)
