"""One chat's listener through lost sockets, a lost database and a Connect that refuses."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from connect_bridge.connect.gateway import Invalid, Refused, Unreachable
from connect_bridge.connect.websocket import MISSED_HEARTBEATS
from connect_bridge.listening import chat_transcript, item_processor, live_socket
from connect_bridge.listening import listener as listener_module
from connect_bridge.listening.listener import ENDED_UNHEARD
from tests.connect_bridge.listening.kit import START, OneChat, happened, said, soon


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_processor, "RETRY_FIRST", 0.005)
    monkeypatch.setattr(listener_module, "RECONNECT_FIRST", 0.005)
    monkeypatch.setattr(listener_module, "RECONNECT_MOST", 0.01)


async def test_whoever_takes_over_reads_the_whole_transcript(monkeypatch):
    chat = OneChat(said("long ago"), said("an hour later", 3600))
    await chat.listener(monkeypatch).open(backfill=True)
    assert chat.looks == [""]
    assert chat.stored == ["long ago", "an hour later"]


async def test_a_frame_lost_before_others_arrived_is_found_by_the_sweep(monkeypatch):
    chat = OneChat(said("first"))
    listener = chat.listener(monkeypatch)
    await listener.open(backfill=True)
    lost, later = said("lost", 20), said("heard", 300)
    chat.transcript_ += [lost, later]
    chat.lines[-1].bring(later)
    await soon(lambda: "heard" in chat.stored)
    await listener.sweep()
    assert listener.transcript._read_until == START + timedelta(seconds=300)
    assert chat.stored == ["first", "heard", "lost"]


async def test_a_chat_is_swept_once_after_its_last_traffic_and_again_if_that_failed(monkeypatch):
    monkeypatch.setattr(chat_transcript, "SWEEP_AFTER", 0.0)
    chat = OneChat(said("first"))
    listener = chat.listener(monkeypatch)
    await listener.open(backfill=True)
    assert not listener.is_to_sweep
    chat.lines[-1].bring(said("more", 5))
    assert listener.is_to_sweep
    chat.trouble["transcript"] = [Unreachable()]
    await listener.sweep()
    await asyncio.sleep(0.02)
    assert listener.is_to_sweep
    await listener.sweep()
    assert not listener.is_to_sweep


async def test_what_the_database_does_not_take_is_offered_again_before_the_end_is_told(monkeypatch):
    ends: list[list[str]] = []
    chat = OneChat()
    listener = chat.listener(monkeypatch, lambda: ends.append(list(chat.stored)))
    await listener.open(backfill=False)
    chat.trouble["store"] = [psycopg.OperationalError()] * 3
    chat.trouble["transcript"] = [Refused()]
    chat.lines[-1].bring(said("goodbye"))
    chat.lines[-1].bring(happened("chat.ended", 1, participant_role=""))
    await soon(lambda: ends)
    assert ends[0] == ["goodbye"]
    assert listener.over == "chat.ended"


@pytest.mark.parametrize(
    "trouble",
    [
        psycopg.errors.IdleInTransactionSessionTimeout,
        psycopg.errors.ReadOnlySqlTransaction,
        psycopg.errors.DiskFull,
        psycopg.InterfaceError,
    ],
)
async def test_what_the_database_is_to_blame_for_loses_nothing(monkeypatch, trouble):
    chat = OneChat()
    listener = chat.listener(monkeypatch)
    await listener.open(backfill=False)
    chat.trouble["store"] = [trouble()]
    chat.lines[-1].bring(said("alone in its batch"))
    await soon(lambda: chat.stored == ["alone in its batch"])


async def test_what_was_heard_is_stored_though_nobody_listens_any_more(monkeypatch):
    chat = OneChat()
    listener = chat.listener(monkeypatch)
    await listener.open(backfill=False)
    chat.trouble["store"] = [psycopg.OperationalError()]
    chat.lines[-1].bring(said("the last word"))
    await asyncio.sleep(0)
    listener.close()
    await soon(lambda: chat.stored == ["the last word"])


async def test_what_can_never_be_stored_holds_up_nothing_else(monkeypatch):
    chat = OneChat()
    listener = chat.listener(monkeypatch)
    await listener.open(backfill=False)
    for text in ("before", "poison", "after"):
        chat.lines[-1].bring(said(text))
    await soon(lambda: chat.stored == ["before", "after"])


@pytest.mark.parametrize(
    "trouble",
    [
        {"connect": [Unreachable(), Unreachable()]},
        {"connect": [Invalid()]},
        {"open": [Unreachable()]},
        {"note": [psycopg.OperationalError(), psycopg.OperationalError()]},
        {"transcript": [Unreachable()]},
        {"transcript": [Invalid(), psycopg.OperationalError()]},
        {"store": [psycopg.OperationalError()]},
    ],
    ids=", ".join,
)
async def test_whatever_goes_wrong_while_it_reconnects_nothing_stays_unheard(monkeypatch, trouble):
    chat = OneChat(said("before"))
    listener = chat.listener(monkeypatch)
    await listener.open(backfill=True)
    chat.transcript_.append(said("meanwhile", 1))
    chat.trouble |= trouble
    chat.lines[-1].cut()
    await soon(listener.caught_up.is_set)
    chat.lines[-1].bring(said("afterwards", 2))
    await soon(lambda: chat.stored == ["before", "meanwhile", "afterwards"])
    assert [line.alive for line in chat.lines].count(True) == 1


async def test_what_a_new_socket_brings_waits_while_the_gap_before_it_cannot_be_filled(monkeypatch):
    chat = OneChat(said("before"))
    listener = chat.listener(monkeypatch)
    await listener.open(backfill=True)
    chat.transcript_.append(said("meanwhile", 1))
    chat.trouble["transcript"] = [Unreachable() for _ in range(10_000)]
    chat.lines[-1].cut()
    await soon(lambda: chat.calls.count("transcript") == 3)
    chat.lines[-1].bring(said("afterwards", 2))
    await soon(lambda: chat.calls.count("transcript") == 6)
    assert chat.stored == ["before"]
    chat.trouble.clear()
    await soon(lambda: chat.stored == ["before", "meanwhile", "afterwards"])


async def test_whoever_takes_over_stores_nothing_new_before_what_came_earlier(monkeypatch):
    chat = OneChat(said("meanwhile", 1))
    listener = chat.listener(monkeypatch)
    chat.trouble["transcript"] = [Unreachable() for _ in range(10_000)]
    with pytest.raises(Unreachable):
        await listener.open(backfill=True)
    chat.lines[-1].bring(said("afterwards", 2))
    await soon(lambda: chat.calls.count("transcript") == 4)
    assert chat.stored == []
    chat.trouble.clear()
    await soon(lambda: chat.stored == ["meanwhile", "afterwards"])


async def test_an_answer_does_not_wait_for_ever_for_a_gap_that_is_never_filled(monkeypatch):
    monkeypatch.setattr(listener_module, "HELD_MOST", 0.02)
    chat = OneChat(said("before"))
    listener = chat.listener(monkeypatch)
    await listener.open(backfill=True)
    chat.transcript_.append(said("meanwhile", 1))
    chat.trouble["transcript"] = [Unreachable() for _ in range(10_000)]
    chat.lines[-1].cut()
    await soon(lambda: len(chat.lines) == 2)
    chat.lines[-1].bring(said("afterwards", 2))
    await soon(lambda: chat.stored == ["before", "afterwards"])
    chat.trouble.clear()
    await soon(lambda: chat.stored == ["before", "afterwards", "meanwhile"])
    chat.lines[-1].bring(said("and then", 3))
    await soon(lambda: chat.stored[-1] == "and then")


async def test_a_reconnection_that_connect_refuses_is_the_end(monkeypatch):
    ends: list[str] = []
    chat = OneChat()
    listener = chat.listener(monkeypatch, lambda: ends.append(listener.over))
    await listener.open(backfill=False)
    chat.trouble["connect"] = [Refused()]
    chat.lines[-1].cut()
    await soon(lambda: ends)
    assert ends == [ENDED_UNHEARD]


@pytest.mark.parametrize("last_looks", [[Refused()] * 20, [Unreachable()] * 10_000], ids=["refused", "away"])
async def test_a_chat_that_ends_before_a_gap_was_filled_is_told_to_have_one(monkeypatch, last_looks):
    monkeypatch.setattr(listener_module, "HELD_MOST", 0.02)
    ends: list[str] = []
    chat = OneChat()
    listener = chat.listener(monkeypatch, lambda: ends.append(listener.over))
    await listener.open(backfill=False)
    chat.trouble["transcript"] = [Unreachable(), *last_looks]
    chat.may_open.clear()
    chat.lines[-1].cut()
    chat.transcript_.append(said("in the gap"))
    chat.may_open.set()
    await soon(lambda: len(chat.lines) >= 2)
    chat.lines[-1].bring(happened("chat.ended", 1, participant_role=""))
    await soon(lambda: ends)
    assert (ends[0], chat.stored) == (ENDED_UNHEARD, [])


async def test_a_gap_is_filled_though_the_chat_has_ended_meanwhile(monkeypatch):
    ends: list[str] = []
    chat = OneChat()
    listener = chat.listener(monkeypatch, lambda: ends.append(listener.over))
    await listener.open(backfill=False)
    chat.trouble["transcript"] = [Unreachable()] * 3
    chat.lines[-1].cut()
    chat.transcript_.append(said("in the gap"))
    await soon(lambda: len(chat.lines) == 2)
    chat.lines[-1].bring(happened("chat.ended", 1, participant_role=""))
    await soon(lambda: ends)
    assert (ends, chat.stored) == (["chat.ended"], ["in the gap"])


async def test_a_chat_that_ends_while_heartbeats_are_unanswered_may_have_a_gap(monkeypatch):
    ends: list[str] = []
    chat = OneChat()
    listener = chat.listener(monkeypatch, lambda: ends.append(listener.over))
    await listener.open(backfill=False)
    chat.trouble["transcript"] = [Refused()]
    chat.lines[-1].missed = MISSED_HEARTBEATS
    chat.lines[-1].bring(happened("chat.ended", participant_role=""))
    await soon(lambda: ends)
    assert ends == [ENDED_UNHEARD]


async def test_when_an_agent_leaves_what_no_frame_brought_is_found_before_the_chat_ends(monkeypatch):
    chat = OneChat(said("lost"))
    listener = chat.listener(monkeypatch)
    await listener.open(backfill=False)
    chat.trouble["transcript"] = [Unreachable()]
    chat.lines[-1].bring(happened("participant.left", 1))
    await soon(lambda: chat.stored == ["lost"])
    chat.lines[-1].bring(said("the flow's goodbye", 3, participant_role="SYSTEM"))
    await soon(lambda: chat.stored == ["lost", "the flow's goodbye"])
    assert chat.calls.count("transcript") == 2


async def test_a_busy_chat_is_swept_too_though_less_often(monkeypatch):
    chat = OneChat()
    listener = chat.listener(monkeypatch)
    await listener.open(backfill=False)
    chat.lines[-1].bring(said("busy"))
    assert not listener.is_to_sweep
    monkeypatch.setattr(chat_transcript, "SWEEP_BUSY", 0.0)
    assert listener.is_to_sweep


async def test_a_renewal_that_fails_leaves_the_old_socket_at_work(monkeypatch):
    chat = OneChat()
    listener = chat.listener(monkeypatch)
    await listener.open(backfill=False)
    chat.trouble["open"] = [Unreachable()]
    await listener.renew()
    assert listener.caught_up.is_set()
    chat.lines[0].bring(said("still here"))
    await soon(lambda: chat.stored == ["still here"])


async def test_a_socket_that_is_lost_during_a_failing_renewal_is_replaced(monkeypatch):
    chat = OneChat()
    listener = chat.listener(monkeypatch)
    await listener.open(backfill=False)
    chat.trouble["open"] = [Unreachable()]
    chat.may_open.clear()
    renewal = asyncio.create_task(listener.renew())
    await soon(lambda: chat.calls.count("connect") == 2)
    chat.lines[0].cut()
    chat.may_open.set()
    await renewal
    await soon(lambda: len(chat.lines) == 2 and listener.caught_up.is_set())


@pytest.mark.parametrize("trouble", ["note", "transcript"])
async def test_a_renewal_that_cannot_catch_up_does_so_later(monkeypatch, trouble):
    chat = OneChat()
    listener = chat.listener(monkeypatch)
    await listener.open(backfill=False)
    chat.transcript_.append(said("meanwhile"))
    chat.trouble[trouble] = [psycopg.OperationalError()]
    await listener.renew()
    await soon(lambda: chat.stored == ["meanwhile"])
    assert len(chat.lines) == 2


async def test_two_reasons_to_reconnect_leave_one_socket(monkeypatch):
    chat = OneChat()
    listener = chat.listener(monkeypatch)
    await listener.open(backfill=False)
    await asyncio.gather(listener.renew(), listener.open(backfill=True), listener.renew())
    assert [line.alive for line in chat.lines] == [False, False, False, True]


async def test_a_listener_that_is_closed_while_it_opens_leaves_no_socket(monkeypatch):
    chat = OneChat()
    chat.may_open.clear()
    listener = chat.listener(monkeypatch)
    opening = asyncio.create_task(listener.open(backfill=False))
    await soon(lambda: "connect" in chat.calls)
    listener.close()
    chat.may_open.set()
    with pytest.raises(Unreachable):
        await opening
    assert not any(line.alive for line in chat.lines)


async def test_what_an_old_transcript_repeats_does_not_bring_back_an_agent_who_left(monkeypatch):
    joined = happened("participant.joined", 1, display_name="Ann", contact_id="first")
    left = happened("participant.left", 2, contact_id="second")
    chat = OneChat(joined, left)
    listener = chat.listener(monkeypatch)
    await listener.open(backfill=True)
    listener.processor._recent.clear()  # as after some hundred messages
    chat.lines[-1].bring(joined)
    await listener.processor.settled()
    assert (listener.processor.presence.agent, listener.chat.bot, listener.chat.contact_id) == ("", True, "second")


async def test_news_that_the_database_did_not_take_are_noted_later(monkeypatch):
    chat = OneChat()
    listener = chat.listener(monkeypatch)
    await listener.open(backfill=False)
    chat.trouble["note"] = [psycopg.OperationalError()]
    chat.lines[-1].bring(happened("participant.joined", display_name="Ann"))
    await soon(lambda: any(note.get("agent") == "Ann" for note in chat.notes))
    assert listener.chat.bot is False


def test_sockets_that_were_opened_together_are_not_renewed_together_nor_at_once():
    in_an_hour = datetime.now(UTC) + timedelta(hours=1)
    moments = [live_socket._seconds_to_renewal(in_an_hour) for _ in range(1000)]
    assert min(moments) >= 1799
    assert max(moments) <= 3600 - live_socket.RENEW_BEFORE
    assert max(moments) - min(moments) > 1000
    assert live_socket._seconds_to_renewal(datetime.now(UTC) - timedelta(hours=2)) == live_socket.RENEW_AFTER
