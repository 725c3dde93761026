"""A field of an account is declared once; what it costs is held here."""

from __future__ import annotations

import io
import tokenize
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import models
from django.test import RequestFactory

from channels_app.account import SETTINGS
from channels_app.account_fields import FIELDS, Step, in_api, in_section, in_step
from channels_app.models import ChannelAccount
from channels_app.webhooks.account_cache import SELECT
from connect_bridge.api.serializers import AccountSerializer
from connect_bridge.setup.forms import HoursForm, RouteForm
from connect_bridge.storage.account_settings import READ, AccountSettings
from tests.factories import ChannelAccountFactory

APPS = ("config", "analytics", "connect_bridge", "channels_app", "customers", "people")
#: Set in the steps for credentials, and never anywhere else.
SECRET = {"credentials", "former_credentials", "former_credentials_until"}
#: Names that mean other things, too.
COMMON = {"name", "enabled", "hours", "attributes", "connect_instance_id", "connect_contact_flow_id"}


def column(name: str) -> Any:
    return ChannelAccount._meta.get_field(name)


def test_whatever_a_person_may_edit_is_declared() -> None:
    editable = {field.name for field in ChannelAccount._meta.concrete_fields if field.editable}
    assert editable - SECRET - {"kind"} == {field.name for field in FIELDS}


@pytest.mark.django_db
def test_every_declared_field_is_on_the_accounts_page() -> None:
    request = RequestFactory().get("/")
    request.user = User.objects.create_superuser("ana")
    page = admin.site.get_model_admin(ChannelAccount)
    sections = page.get_fieldsets(request, ChannelAccountFactory())
    shown = {str(title or ""): list(options["fields"]) for title, options in sections}
    for field in FIELDS:
        assert field.name in shown[field.section]
    assert shown["Amazon Connect"] == in_section(FIELDS[2].section)


def test_the_set_up_asks_in_the_declared_order() -> None:
    assert list(RouteForm().fields) == [field.name for field in in_step(Step.ROUTE)]
    assert list(HoursForm().fields) == [field.name for field in in_step(Step.HOURS)]
    assert HoursForm().fields["holding_reply"].widget.attrs["rows"] == 2


@pytest.mark.django_db
def test_the_api_shows_what_may_be_read_and_no_more() -> None:
    shown = set(AccountSerializer(ChannelAccountFactory()).data)
    assert shown == {"id", "kind", "address", "webhook_url", "created_at", "updated_at", *in_api()}


def test_the_bridges_and_webhooks_read_the_columns_that_their_structs_name() -> None:
    assert all(f"a.{name}" in READ for name in ("paused_since", "default_language", "queue_delay_minutes"))
    assert SETTINGS == ("redact",)
    assert SELECT.split("FROM")[0].rstrip().endswith(", redact")


def test_an_account_that_was_not_read_yet_has_the_defaults_of_its_columns() -> None:
    plain = AccountSettings(id=uuid.uuid4())
    names = [name for name in AccountSettings.__struct_fields__ if name in {field.name for field in FIELDS}]
    assert len(names) > 2
    for name in names:
        if not isinstance(column(name), models.ForeignKey):
            assert getattr(plain, name) == column(name).get_default(), name


def test_no_other_file_lists_the_fields() -> None:
    """What names a field in a list would have to be edited for the next one."""
    ours = {field.name for field in FIELDS} - COMMON
    listing = {
        path.relative_to(settings.BASE_DIR).as_posix()
        for app in APPS
        for path in (Path(settings.BASE_DIR) / app).rglob("*.py")
        if "migrations" not in path.parts and ours & _literals(path)
    }
    assert listing <= {
        "channels_app/account_fields.py",
        "channels_app/reply_occasions.py",  # the texts of two occasions are columns
        "connect_bridge/storage/account_settings.py",
    }


def _literals(path: Path) -> set[str]:
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text()).readline)
    return {token.string.strip("\"'") for token in tokens if token.type == tokenize.STRING}
