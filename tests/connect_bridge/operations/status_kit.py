from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from channels_app.models import AccountHealth, ChannelAccount
from connect_bridge.operations.account_status import AccountStatus, Verdict, account_statuses
from tests.factories import (
    ChannelAccountFactory,
    ConversationFactory,
    MessageFactory,
    OutboxEntryFactory,
    WebhookDeliveryFactory,
)

NOW = timezone.now


def ago(**passed: float) -> Any:
    return NOW() - timedelta(**passed)


def status_of(account: ChannelAccount) -> AccountStatus:
    (status,) = account_statuses([ChannelAccount.objects.get(pk=account.pk)])
    return status


def verdicts(status: AccountStatus) -> str:
    return "".join({Verdict.OK: "+", Verdict.BAD: "-", Verdict.UNSEEN: "o"}[stage.verdict] for stage in status.stages)


def working_account(**fields: Any) -> ChannelAccount:
    """An account through which a message has gone both ways just now."""
    account = ChannelAccountFactory(**fields)
    WebhookDeliveryFactory(account=account, received_at=ago(seconds=9))
    conversation = ConversationFactory(account=account, last_message_at=NOW())
    MessageFactory(conversation=conversation, status="relayed", relayed_at=ago(seconds=8))
    answer = MessageFactory(conversation=conversation, direction="out", status="delivered", settled_at=ago(seconds=5))
    OutboxEntryFactory(message=answer, state="accepted")
    return account


def health(account: ChannelAccount, **fields: Any) -> None:
    AccountHealth.objects.update_or_create(account=account, defaults=fields)


def point(name: str, *, ok: bool, **fields: str) -> dict[str, Any]:
    return {"name": name, "ok": ok, "said": "what the provider said", "at": NOW().isoformat(), **fields}


def add_failed_sends(account: ChannelAccount, code: str, provider_code: str = "", count: int = 1) -> None:
    conversation = ConversationFactory(account=account, last_message_at=NOW())
    for _ in range(count):
        message = MessageFactory(
            conversation=conversation, direction="out", status="failed", error_code=code, settled_at=NOW()
        )
        OutboxEntryFactory(message=message, state="dead", error_code=code, provider_code=provider_code)
