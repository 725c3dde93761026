from __future__ import annotations

import json
from io import StringIO

import pytest
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from django.core.management import call_command
from django.db import connection

from channels_app.models import ChannelAccount, SetupDraft
from tests.factories import ChannelAccountFactory

pytestmark = pytest.mark.django_db


def rotate(*arguments: str) -> tuple[int, str]:
    said = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("rotatekeys", *arguments, stdout=said)
    return int(ended.value.code or 0), said.getvalue()


def tokens() -> list[bytes]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT credentials FROM channels_app_channelaccount ORDER BY id")
        return [bytes(row[0]) for row in cursor.fetchall()]


def test_after_a_rotation_the_old_key_is_needed_no_more(settings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = ["old"]
    account = ChannelAccountFactory(former_credentials={"auth_token": "former"})
    draft = SetupDraft.objects.create(kind="twitter", by="ana", credentials={"consumer_key": "typed"})
    credentials = account.credentials
    account.refresh_from_db()
    changed = account.updated_at
    settings.FIELD_ENCRYPTION_KEYS = ["new", "old"]

    code, said = rotate()

    settings.FIELD_ENCRYPTION_KEYS = ["new"]
    account, draft = ChannelAccount.objects.get(), SetupDraft.objects.get()
    assert code == 0
    assert "3 stored values, 3 were encrypted anew" in said
    assert account.credentials == credentials
    assert account.former_credentials == {"auth_token": "former"}
    assert draft.credentials == {"consumer_key": "typed"}
    assert account.updated_at == changed
    assert account.history.count() == 1


def test_second_factors_are_encrypted_anew_too(settings, django_user_model) -> None:
    settings.FIELD_ENCRYPTION_KEYS = ["old"]
    ana = django_user_model.objects.create_user("ana")
    sealed = get_adapter().encrypt("JBSWY3DPEHPK3PXP")
    factor = Authenticator.objects.create(user=ana, type=Authenticator.Type.TOTP, data={"secret": sealed})
    settings.FIELD_ENCRYPTION_KEYS = ["new", "old"]

    rotate()

    settings.FIELD_ENCRYPTION_KEYS = ["new"]
    factor.refresh_from_db()
    assert get_adapter().decrypt(factor.data["secret"]) == "JBSWY3DPEHPK3PXP"


def test_a_second_run_has_nothing_to_do(settings) -> None:
    ChannelAccountFactory()
    before = tokens()

    assert "0 were encrypted anew" in rotate()[1]
    assert tokens() == before


def test_a_dry_run_changes_nothing(settings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = ["old"]
    ChannelAccountFactory()
    settings.FIELD_ENCRYPTION_KEYS = ["new", "old"]
    before = tokens()

    assert json.loads(rotate("--dry-run", "--json")[1]) == {
        "stored": 1,
        "older": 1,
        "lost": 0,
        "dry_run": True,
        "lost_rows": [],
    }
    assert tokens() == before


def test_what_no_key_opens_is_named_and_left_alone(settings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = ["lost"]
    account = ChannelAccountFactory()
    settings.FIELD_ENCRYPTION_KEYS = ["new"]
    before = tokens()

    code, said = rotate()

    assert code == 2
    assert f"no key opens channels_app_channelaccount {account.pk}" in said
    assert "fix:" in said
    assert tokens() == before
