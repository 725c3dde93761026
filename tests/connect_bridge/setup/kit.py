"""What tests of the set-up share: credentials that the simulated providers know, drafts, forms and addresses."""

from __future__ import annotations

from django.db import connection
from django.test import Client
from django.urls import reverse

from channels_app.models import ChannelAccount, SetupDraft

ADD = "/admin/channels/add/"
#: What the simulated providers know.
GOOD = {
    "twitter": {
        "consumer_key": "CANARY-consumer-key",
        "consumer_secret": "CANARY-consumer-secret-9c1d",
        "access_token": "CANARY-access-token",
        "access_token_secret": "CANARY-access-token-secret",
        "user_id": "1900000000000000001",
    },
    "messenger": {
        "app_secret": "CANARY-app-secret-of-the-app-4f2a",
        "page_id": "300000000000001",
        "page_access_token": "CANARY-page-access-token",
        "verify_token": "CANARY-verify",
    },
    "whatsapp": {
        "account_sid": "AC" + "7" * 32,
        "auth_token": "CANARY-auth-token-of-twilio",
        "number": "+15550100777",
    },
}
#: The credential that is our address there.
ADDRESS = {"twitter": "user_id", "messenger": "page_id", "whatsapp": "number"}
#: The credential by which each provider tells that another one is wrong.
SPOILT = {"twitter": "consumer_secret", "messenger": "page_access_token", "whatsapp": "auth_token"}


def new_draft(client: Client, kind: str) -> SetupDraft:
    client.post(ADD, {"kind": kind})
    return SetupDraft.objects.get(kind=kind)


def typed(credentials: dict[str, str], **others: str) -> dict[str, str]:
    return {"name": "Shop", **{f"credential_{key}": text for key, text in credentials.items()}, **others}


def step(row: SetupDraft | ChannelAccount, name: str) -> str:
    return reverse("channel-step", args=[row.pk, name])


def raw_rows() -> str:
    """Return everything in the database as text, as a dump of it would have it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")
        rows = []
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT t::text FROM "{table}" t')
            rows += [row[0] for row in cursor.fetchall()]
    return "\n".join(rows)
