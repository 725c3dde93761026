"""An occasion of an automatic reply is one row: what follows from it, and that no migration does."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from django.forms import modelform_factory

from channels_app import reply_occasions
from channels_app.fields import TableChoiceField
from channels_app.models import AutoReply, ChannelAccount
from channels_app.reply_occasions import GREETING, HOLDING, OCCASIONS, PAUSED, is_reply
from connect_bridge.automation.replies import filled
from connect_bridge.models import SentReply
from connect_bridge.setup.dry_run import settings_of
from connect_bridge.storage import account_settings
from tests.factories import ChannelAccountFactory

SURVEY = reply_occasions.Occasion(
    "survey",
    "a chat has ended",
    once_per="chat",
    said_by="nobody yet",
    default="How was it, {name}?",
    variables=("name",),
)


def test_every_occasion_can_be_stored_and_explains_its_column() -> None:
    longest = SentReply._meta.get_field("occasion").max_length
    assert longest is not None
    keys = [one.key for one in OCCASIONS]
    assert len(set(keys)) == len(keys)
    assert all(len(key) <= longest and " " not in key for key in keys)
    for one in OCCASIONS:
        assert all((one.when, one.once_per, one.said_by))
        if one.column:
            assert ChannelAccount._meta.get_field(one.column).help_text == one.help != ""


def test_its_form_offers_what_is_written_in_rows() -> None:
    offered = modelform_factory(AutoReply, fields=["occasion"])().fields["occasion"].choices
    assert [(key, label) for key, label in offered if key] == [
        ("greeting", "a chat begins"),
        ("closed", "somebody writes outside the hours"),
        ("queue_delay", "no agent has come yet"),
        ("media", "somebody sends what the chat cannot show"),
    ]


def test_a_new_row_needs_no_migration() -> None:
    before = AutoReply._meta.get_field("occasion").deconstruct()[1:]
    migrated = before[2]["choices"]
    longer = TableChoiceField(max_length=16, choices=[*migrated, ("survey", "a chat has ended")], migrated=migrated)
    assert longer.deconstruct()[1:] == longer.clone().deconstruct()[1:] == before
    assert ("survey", "a chat has ended") in longer.choices


@pytest.mark.django_db
def test_the_texts_of_all_occasions_come_to_the_bridges_together(monkeypatch: pytest.MonkeyPatch) -> None:
    account = ChannelAccountFactory(pause_reply="Later.", holding_reply="One moment.", default_language="es")
    AutoReply.objects.create(account=account, occasion="greeting", language="en", text="Welcome!")
    monkeypatch.setattr(account_settings, "OCCASIONS", (*OCCASIONS, SURVEY))
    assert settings_of(account).replies == {
        GREETING.key: {"en": "Welcome!"},
        PAUSED.key: {"es": "Later."},
        HOLDING.key: {"es": "One moment."},
        SURVEY.key: {"es": SURVEY.default},
    }


def test_what_somebody_wrote_counts_before_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_settings, "OCCASIONS", (replace(GREETING, default="Hello."),))
    row = {"id": uuid.uuid4(), "default_language": "en", "hours": None, "rules": []}
    assert account_settings.read({**row, "replies": []}).replies == {"greeting": {"en": "Hello."}}
    written = account_settings.read({**row, "replies": [["greeting", "es", "Hola."]]})
    assert written.replies == {"greeting": {"es": "Hola."}}


def test_variables_are_filled_and_other_braces_stay() -> None:
    assert filled("How was it, {name}? {code}", SURVEY, {"name": "Ana", "code": "7"}) == "How was it, Ana? {code}"
    assert filled("Hi {name}", GREETING, {"name": "Ana"}) == "Hi {name}"


@pytest.mark.parametrize("item", ["holding reply", "greeting 0123456789abcdef", "queue_delay 0123456789abcdef"])
def test_what_was_told_without_a_person_is_known_by_its_item(item: str) -> None:
    assert is_reply(item)
    assert not is_reply(str(uuid.uuid4()))
    assert not is_reply("")
