"""The copy in DynamoDB: exactly the database's messages, in their order, whatever is killed or away meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction

from connect_bridge.models import Message, Projection, ProjectionNote
from connect_bridge.projection import compare, copy, tasks
from connect_bridge.projection.dynamodb import LONGEST_TEXT, Table, Unavailable, key_of
from tests.connect_bridge.projection.kit import copied, dynamo, items, moto, surroundings, table
from tests.factories import ContactFactory, ConversationFactory, MessageFactory

__all__ = ["dynamo", "moto", "table"]

pytestmark = pytest.mark.django_db(transaction=True)
#: Seconds that a process gets for its work, beside whatever else the machine does.
PATIENCE = 240.0


def differences(table: Table) -> int:
    with copy.switched_on() as connection:
        return compare.compare(connection, table).differences


def texts(table: Table, conversation: Any) -> list[str]:
    return [item["text"]["S"] for item in table.conversation(conversation.pk)]


def test_every_message_is_copied_once_in_its_order_with_what_a_reader_needs(table: Table) -> None:
    chat = ConversationFactory()
    contact = ContactFactory(conversation=chat)
    for number in range(12):
        MessageFactory(conversation=chat, text=f"line {number}", contact=contact)
    MessageFactory(text="of another")
    assert copied(table) == 13
    assert texts(table, chat) == [f"line {number}" for number in range(12)]
    item = table.conversation(chat.pk)[-1]
    message = Message.objects.get(text="line 11")
    assert item["id"]["S"] == str(message.pk)
    assert item["contact"]["S"] == str(contact.pk)
    assert item["channel"]["S"] == "whatsapp"
    assert item["sequence"]["N"] == "12"
    assert item["GSI1PK"]["S"] == f"IDENTITY#{chat.identity_id}"
    assert (differences(table), copied(table)) == (0, 0)


def test_an_identitys_messages_are_read_by_time_through_the_index(table: Table) -> None:
    first = ConversationFactory()
    second = ConversationFactory(identity=first.identity)
    for number, chat in enumerate((first, second, first)):
        MessageFactory(conversation=chat, text=str(number))
    copied(table)
    answer = table._client.query(
        TableName=table.name,
        IndexName="by_identity",
        KeyConditionExpression="GSI1PK = :pk",
        ExpressionAttributeValues={":pk": {"S": f"IDENTITY#{first.identity_id}"}},
    )
    assert [item["text"]["S"] for item in answer["Items"]] == ["0", "1", "2"]


def test_what_changes_is_copied_again_and_what_is_deleted_goes(table: Table) -> None:
    message, gone = MessageFactory(status="stored"), MessageFactory()
    copied(table)
    Message.objects.filter(pk=message.pk).update(status="relayed")
    Message.objects.filter(pk=gone.pk).delete()
    assert copied(table) == 2
    [item] = items(table)
    assert item["status"]["S"] == "relayed"
    assert differences(table) == 0


def test_what_was_there_before_it_was_switched_on_is_copied_too_and_off_means_off(dynamo: str, settings: Any) -> None:
    settings.DYNAMODB_TABLE = ""
    MessageFactory()
    assert copy.project(10) == 0
    assert not ProjectionNote.objects.exists()
    settings.DYNAMODB_TABLE = "parley-messages"
    table = Table()
    table.create()
    tasks.project()
    assert len(items(table)) == 1
    settings.DYNAMODB_TABLE = ""
    MessageFactory()
    tasks.project()
    MessageFactory()
    assert not ProjectionNote.objects.exists()
    assert Projection.objects.get().table_name == ""


def test_who_died_between_switching_on_and_noting_all_leaves_nothing_out(table: Table) -> None:
    MessageFactory()
    ProjectionNote.objects.all().delete()
    Projection.objects.update(complete=False)
    copied(table)
    assert differences(table) == 0


def test_what_is_not_committed_is_not_copied_and_what_is_stored_meanwhile_is(table: Table) -> None:
    chat = ConversationFactory()
    with transaction.atomic():
        MessageFactory(conversation=chat, text="rolled back")
        transaction.set_rollback(True)
    chat.refresh_from_db()
    MessageFactory(conversation=chat, text="kept")
    copied(table)
    assert texts(table, chat) == ["kept"]


def test_a_change_while_its_message_is_under_way_is_not_forgotten(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = MessageFactory(status="stored")
    write = Table.write

    def meanwhile(self: Table, *arguments: Any) -> None:
        write(self, *arguments)
        monkeypatch.setattr(Table, "write", write)
        Message.objects.filter(pk=message.pk).update(status="relayed")

    monkeypatch.setattr(Table, "write", meanwhile)
    assert copied(table) == 2
    assert items(table)[0]["status"]["S"] == "relayed"


def test_a_worker_waits_for_nobody_who_is_changing_a_message(table: Table) -> None:
    message = MessageFactory(status="stored")
    changing, finish = threading.Event(), threading.Event()

    def change() -> None:
        with transaction.atomic():
            Message.objects.filter(pk=message.pk).update(status="relayed")
            changing.set()
            assert finish.wait(60)
        connections.close_all()

    thread = threading.Thread(target=change)
    thread.start()
    assert changing.wait(60)
    with copy.switched_on() as ours:
        assert copy.catch_up(ours, table, seconds=0.5) >= 1  # what is committed; the note is kept
    finish.set()
    thread.join(60)
    copied(table)
    assert items(table)[0]["status"]["S"] == "relayed"


def test_an_outage_costs_nothing_but_time(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    MessageFactory.create_batch(3)
    with monkeypatch.context() as away:
        away.setenv("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9")
        assert copy.project(10) == 0
        with pytest.raises(Unavailable, match="did not answer"):
            copied(Table())
    assert ProjectionNote.objects.count() == 3
    assert copied(table) == 3


def test_one_process_at_a_time_copies(table: Table) -> None:
    MessageFactory()
    with copy.alone():
        assert copy.project(10) == 0
        with pytest.raises(CommandError, match="Another process"):
            call_command("projection", "status")
    assert copy.project(10) == 1


def test_the_comparison_names_what_differs_lacks_and_is_too_much(table: Table, capsys: Any) -> None:
    chat = ConversationFactory()
    MessageFactory.create_batch(5, conversation=chat)
    copied(table)
    altered = dict(table.conversation(chat.pk)[0], text={"S": "altered"})
    surplus = dict(altered, **key_of(chat.pk, 99))
    table.write([altered, surplus], [key_of(chat.pk, 3)])
    with pytest.raises(SystemExit) as ended:
        call_command("projection", "compare")
    output = capsys.readouterr().out
    assert ended.value.code == 1
    assert f"different: conversation {chat.pk}, message 1" in output
    assert f"missing: conversation {chat.pk}, message 3" in output
    assert f"surplus: conversation {chat.pk}, message 99" in output
    assert "3 differences; 3 messages are the same." in output

    call_command("projection", "rebuild")
    assert "5 messages copied, 1 deleted" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        call_command("projection", "compare")
    assert ended.value.code == 0
    assert capsys.readouterr().out == "0 differences; 5 messages are the same.\n"


def test_a_table_that_is_not_there_is_said_so_with_what_to_do(dynamo: str) -> None:
    MessageFactory()
    with pytest.raises(CommandError, match="projection create"):
        call_command("projection", "catch-up")
    call_command("projection", "create")
    call_command("projection", "create")
    call_command("projection", "catch-up")


def test_without_a_table_the_command_says_what_to_set(settings: Any) -> None:
    settings.DYNAMODB_TABLE = ""
    with pytest.raises(CommandError, match="set DYNAMODB_TABLE"):
        call_command("projection", "status")


def test_a_text_that_no_item_holds_is_cut_and_says_how_long_it_was(table: Table) -> None:
    MessageFactory(text="ñ" * LONGEST_TEXT)
    copied(table)
    [item] = items(table)
    assert len(item["text"]["S"].encode()) == LONGEST_TEXT
    assert item["text_bytes"]["N"] == str(2 * LONGEST_TEXT)
    assert differences(table) == 0


def test_what_dynamodb_leaves_is_offered_again(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    MessageFactory.create_batch(3)
    call, left = Table._call, [1]

    def sparing(self: Table, operation: str, **fields: Any) -> Any:
        if operation == "batch_write_item" and left:
            left.pop()
            requests = fields["RequestItems"][self.name]
            fields["RequestItems"] = {self.name: requests[:1]}
            return {**call(self, operation, **fields), "UnprocessedItems": {self.name: requests[1:]}}
        return call(self, operation, **fields)

    monkeypatch.setattr(Table, "_call", sparing)
    assert copied(table) == 3
    assert differences(table) == 0


def until(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen within {PATIENCE:.0f} s: {what}"
        time.sleep(0.02)


@pytest.mark.whole
def test_killed_in_the_middle_again_and_again_the_copy_is_the_database(
    table: Table, dynamo: str, database_url: str
) -> None:
    chats = ConversationFactory.create_batch(3)
    for chat in chats:
        MessageFactory.create_batch(250, conversation=chat, text="before")
    left = []
    for number in range(4):
        left.append(_begin_and_kill(surroundings(dynamo) | {"DATABASE_URL": database_url}))
        for chat in chats:
            MessageFactory.create_batch(20, conversation=chat, text=f"after {number}")
            Message.objects.filter(conversation=chat, text="before").update(status="relayed", author=str(number))
    assert any(left), "no process was killed before it was done"
    output: list[bytes] = []
    where = surroundings(dynamo) | {"DATABASE_URL": database_url}
    until(
        lambda: output.append(_compared(where)) or output[-1], "an answer of the table"
    )  # it is slow on a slow machine
    assert output[-1] == f"0 differences; {Message.objects.count()} messages are the same.\n".encode()
    for chat in chats:
        assert len(texts(table, chat)) == 330


def _begin_and_kill(where: dict[str, str]) -> int:
    """Let a process copy until something of it has arrived, and kill it; return how much it left."""
    waiting = ProjectionNote.objects.count()
    child = _projection("catch-up", where)
    until(lambda: ProjectionNote.objects.count() < waiting or child.poll() is not None, "a beginning")
    child.send_signal(signal.SIGKILL)
    child.wait(PATIENCE)
    return ProjectionNote.objects.count()


def _compared(where: dict[str, str]) -> bytes:
    """Return what comparing says; nothing if the table did not answer in time."""
    done = _projection("compare", where, stdout=subprocess.PIPE)
    output, _ = done.communicate(timeout=PATIENCE)
    assert done.returncode == (0 if output else 1)
    return output


def _projection(verb: str, where: dict[str, str], **fields: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "manage.py", "projection", verb]
    return subprocess.Popen(command, cwd=django_settings.BASE_DIR, env={**os.environ, **where}, **fields)


def test_the_trigger_costs_nothing_to_speak_of_while_nothing_is_copied(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM connect_bridge_projectionnote")
        assert cursor.fetchone() == (0,)
    MessageFactory.create_batch(3)
    assert not ProjectionNote.objects.exists()
