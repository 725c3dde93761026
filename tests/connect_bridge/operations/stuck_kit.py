from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from connect_bridge.models import Notice
from connect_bridge.operations import stuck
from connect_bridge.operations.stuck import Kind, StuckRow
from tests.factories import (
    ContactFactory,
    InboundEntryFactory,
    MessageFactory,
    OutboxEntryFactory,
)


def ago(seconds: float) -> Any:
    return timezone.now() - timedelta(seconds=seconds)


def make_row(kind: Kind, age: float = 120) -> Any:
    """Make a row of this kind that has waited so many seconds."""
    at = ago(age)
    if kind is Kind.INTAKE:
        return InboundEntryFactory(created_at=at)
    if kind is Kind.RECEIPT:
        return InboundEntryFactory(created_at=at, state="parked", due_at=ago(-30))
    if kind is Kind.MESSAGE:
        return MessageFactory(created_at=at)
    if kind is Kind.REFUSED:
        return MessageFactory(status="failed", settled_at=at, error_code="connect_invalid", error_detail="Refused.")
    if kind is Kind.CONTACT:
        return ContactFactory(requested_at=at, state="requested")
    if kind is Kind.OUTBOX:
        return OutboxEntryFactory(created_at=at, due_at=at)
    if kind is Kind.NOTICE:
        message = MessageFactory(direction="out", status="failed", created_at=at)
        contact = ContactFactory(conversation=message.conversation)
        return Notice.objects.create(message=message, contact=contact, created_at=at, due_at=ago(-5))
    looked_for = ago(-10) if kind is Kind.UNCERTAIN else None
    message = MessageFactory(direction="out", status="uncertain")
    return OutboxEntryFactory(
        message=message, state="uncertain", settled_at=at, look_at=looked_for, error_detail="The line broke."
    )


def only() -> StuckRow:
    (row,) = stuck.find_stuck().rows
    return row


def make_rows_of_all_kinds() -> None:
    for kind in Kind:
        make_row(kind)


def staff(*permissions: str) -> Client:
    user = User.objects.create_user("ops", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def run(*words: str) -> tuple[int, str]:
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("stuck", *words, stdout=out)
    return int(str(ended.value.code)), out.getvalue()
