"""Who reads the database, or a copy of it, cannot speak as a customer: the tokens of chats are encrypted there."""

from __future__ import annotations

import importlib
from io import StringIO

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connection

from connect_bridge.models import Contact
from connect_bridge.reconcile import rows
from people.encryption import decrypt_text, encrypt_text
from tests.factories import ContactFactory

pytestmark = pytest.mark.django_db
migration = importlib.import_module("connect_bridge.migrations.0019_sealed_tokens")


def kept() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT participant_token, connection_token FROM connect_bridge_contact ORDER BY id")
        return [token for row in cursor.fetchall() for token in row]


def test_tokens_lie_encrypted_and_come_out_as_they_went_in() -> None:
    contact = ContactFactory(participant_token="speaks as the customer", connection_token="")

    assert kept()[0].startswith("gAAAA")
    assert kept()[1] == ""
    assert Contact.objects.get().participant_token == "speaks as the customer"
    with pytest.raises(TypeError, match="cannot be looked up"):
        Contact.objects.filter(participant_token__startswith="s").exists()
    ContactFactory(connection_token="connects")
    page = {one.conversation_id: None for one in Contact.objects.all()}
    assert {one.token for one in rows.open_chats(page)} == {"", "connects"}
    assert contact.participant_token == "speaks as the customer"


def test_the_migration_encrypts_what_lies_in_clear_and_can_be_taken_back() -> None:
    for number in range(3):
        ContactFactory(participant_token=f"p{number}", connection_token="" if number else "c")
    with connection.schema_editor() as editor:
        migration.decrypt(apps, editor)
        assert sorted(kept()) == ["", "", "c", "p0", "p1", "p2"]
        migration.encrypt(apps, editor)
        migration.encrypt(apps, editor)

    assert all(token == "" or token.startswith("gAAAA") for token in kept())
    assert sorted(one.participant_token for one in Contact.objects.all()) == ["p0", "p1", "p2"]


def test_what_an_older_release_wrote_is_read_too() -> None:
    assert decrypt_text("a token in clear") == "a token in clear"


def test_keys_are_rotated_over_them(settings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = ["old"]
    ContactFactory(participant_token="p", connection_token="c")
    settings.FIELD_ENCRYPTION_KEYS = ["new", "old"]
    with pytest.raises(SystemExit):
        call_command("rotatekeys", stdout=StringIO())

    settings.FIELD_ENCRYPTION_KEYS = ["new"]
    assert Contact.objects.get().connection_token == "c"


def test_a_token_that_no_key_opens_says_what_to_do(settings) -> None:
    sealed = encrypt_text("p")
    settings.FIELD_ENCRYPTION_KEYS = ["another"]

    with pytest.raises(ImproperlyConfigured, match="add the former key"):
        decrypt_text(sealed)
