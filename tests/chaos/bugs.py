"""Bugs that are planted into a running product to see whether the checker catches them. The product knows none of this.

A bug changes one module right after it is imported, before anybody can take a name out of it. Each change insists on
finding what it changes: a bug that no longer fits stops the process instead of passing unseen.
"""

from __future__ import annotations

import asyncio
import dataclasses
import importlib.abc
import importlib.machinery
import os
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import iscoroutinefunction
from types import ModuleType
from typing import Any

import msgspec
import psycopg

Change = Callable[[Any], None]


@dataclass(frozen=True, slots=True)
class Bug:
    """`change` is made to `module`; `nemeses` bring it to light; `rules` are those of which one must break."""

    module: str
    change: Change
    nemeses: Sequence[str]
    rules: Sequence[str]
    does: str


def _swap(module: Any, name: str, *pairs: tuple[str, str]) -> None:
    """Change the text of a statement."""
    text = getattr(module, name)
    for old, new in pairs:
        if old not in text:
            raise SystemExit(f"{module.__name__}.{name} has no {old!r} any more: the planted bug does not fit")
        text = text.replace(old, new)
    setattr(module, name, text)


def _wrap(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Replace a function or method, which must be there."""
    if not callable(getattr(owner, name, None)):
        raise SystemExit(f"{owner!r} has no {name}() any more: the planted bug does not fit")
    former = getattr(owner, name)
    changed = make(former)
    if iscoroutinefunction(former) != iscoroutinefunction(changed):
        raise SystemExit(f"{owner!r} has {name}() of another kind: the planted bug does not fit")
    setattr(owner, name, changed)


def _ack_before_commit(asgi: Any) -> None:
    def make(stored: Any) -> Any:
        async def at_once(self: Any, parsed: Any) -> str:
            async def later() -> None:
                await asyncio.sleep(1.0)
                await stored(self, parsed)

            self.background = {*getattr(self, "background", ()), asyncio.create_task(later())}
            return "accepted"

        return at_once

    _wrap(asgi.WebhookASGI, "_stored", make)


def _ack_on_error(asgi: Any) -> None:
    def make(stored: Any) -> Any:
        async def whatever(self: Any, parsed: Any) -> str:
            try:
                return str(await stored(self, parsed))
            except psycopg.Error:
                return "accepted"

        return whatever

    _wrap(asgi.WebhookASGI, "_stored", make)


def _missing_unique(intake: Any) -> None:
    def make(entry: Any) -> Any:
        return lambda *arguments: dataclasses.replace(entry(*arguments), key=uuid.uuid4().hex)

    _wrap(intake, "_entry", make)


def _shared_secret_lookup(accounts: Any) -> None:
    """Each endpoint tries the credentials of every account of the kind, as if there were one secret for all."""
    everybody: dict[Any, Any] = {}

    def build(former: Any) -> Any:
        def make(self: Any, row: Any) -> Any:
            everybody[row[0]] = former(self, row)
            return everybody[row[0]]

        return make

    def channels_at(former: Any) -> Any:
        def make(self: Any, now: Any) -> Any:
            yield from former(self, now)
            yield from (other.channel for other in everybody.values() if other.kind == self.kind)

        return make

    _wrap(accounts.AccountCache, "_build", build)
    _wrap(accounts.Account, "channels_at", channels_at)


def _id_greater_than_last(router: Any) -> None:
    """One place to remember where we were, in the text of the statement: what commits late is never read."""
    where = "WHERE state = 'pending' AND shard"
    _swap(router.queries, "TAKE", (where, f"{where.removesuffix('shard')}id > {{last}} AND shard"))
    router.queries.TAKE_AFTER = router.queries.TAKE
    router.queries.TAKE = router.queries.TAKE_AFTER.format(last=0)

    def make(take: Any) -> Any:
        async def onwards(self: Any, most: int) -> Any:
            router.queries.TAKE = router.queries.TAKE_AFTER.format(last=getattr(self, "last", 0))
            claimed = await take(self, most)
            self.last = max([getattr(self, "last", 0), *(entry.id for entry in claimed)])
            return claimed

        return onwards

    _wrap(router.Router, "_take", make)


def _no_fence(store: Any) -> None:
    _swap(store, "OWNED_PENDING", ("WHERE c.owner_id = %s AND", "WHERE (c.owner_id = %s OR c.active) AND"))
    _swap(store, "FENCE", (" AND owner_id = %(bridge)s", ""))
    _swap(store, "PENDING", (" AND c.owner_id = %(bridge)s AND c.fence = %(fence)s", ""))


def _fence_stands_still(store: Any) -> None:
    _swap(store, "CLAIM", ("fence = fence + 1", "fence = fence"))


def _no_takeover(store: Any) -> None:
    _swap(store, "CLAIM", ("c.owner_id IS NULL OR b.beat_at <", "c.owner_id IS NULL AND b.beat_at <"))


def _no_backfill(chat_transcript: Any) -> None:
    def make(_read: Any) -> Any:
        async def nothing(_self: Any, _token: str) -> Sequence[Any]:
            return ()

        return nothing

    _wrap(chat_transcript.ChatTranscript, "read", make)


def _random_client_token(starter: Any) -> None:
    def make(request: Any) -> Any:
        async def anew(self: Any, *arguments: Any) -> Any:
            return msgspec.structs.replace(await request(self, *arguments), client_token=str(uuid.uuid4()))

        return anew

    _wrap(starter.ChatStarter, "_chat_request", make)


def _initial_message_forgotten(store: Any) -> None:
    """What was a bug of ours once: whoever takes a chat over takes its first message's second part for its first."""
    _swap(store, "_CHAT", ("AND m.status = 'stored' AND m.contact_id IS DISTINCT FROM connect_bridge_contact.id", ""))
    for name in ("OPEN_CHAT", "REQUEST_CHAT"):
        _swap(store, name, ("AND m.status = 'stored' AND m.contact_id IS DISTINCT FROM connect_bridge_contact.id", ""))


def _capture_without_dedupe(capture: Any) -> None:
    def make(columns: Any) -> Any:
        def renamed(batches: Any) -> Any:
            values = columns(batches)
            values["item"] = [f"{item[:50]}~{uuid.uuid4().hex[:8]}" for item in values["item"]]
            return values

        return renamed

    _wrap(capture, "_columns", make)


def _drop_on_participant_left(render: Any) -> None:
    def make(event: Any) -> Any:
        def left_is_the_end(item: Any) -> Any:
            notification = event(item)
            left = isinstance(notification, render.ParticipantEvent) and notification.kind == render.LEFT
            return render.Ended() if left else notification

        return left_is_the_end

    _wrap(render, "_event", make)


def _dropped_dead_letter(claims: Any) -> None:
    _swap(
        claims,
        "FAILED",
        (
            "SET status = CASE %(state)s::text WHEN 'dead' THEN 'failed'",
            "SET status = CASE %(state)s::text WHEN 'dead' THEN 'accepted'",
        ),
    )
    _swap(
        claims,
        "FAILED",
        (
            "SET state = %(state)s::text,",
            "SET state = CASE %(state)s::text WHEN 'dead' THEN 'accepted' ELSE %(state)s::text END,",
        ),
    )


def _resend_after_uncertain(outbox: Any) -> None:
    def make(judge: Any) -> Any:
        def again(failure: Any, attempts: int, age: float) -> Any:
            if isinstance(failure, outbox.UnknownOutcome):
                failure = outbox.Unavailable(failure.detail)
            return judge(failure, attempts, age)

        return again

    _wrap(outbox, "judge", make)


def _expired_claim_is_pending(claims: Any) -> None:
    _swap(
        claims,
        "EXPIRE",
        (
            "SET state = 'uncertain', settled_at = now(), error_code = 'unknown_outcome'",
            "SET state = 'pending', error_code = ''",
        ),
    )
    _swap(
        claims,
        "EXPIRE",
        ("SET status = 'uncertain', error_code = 'unknown_outcome'", "SET status = 'stored', error_code = ''"),
    )


def _outbox_out_of_order(claims: Any) -> None:
    _swap(claims, "CLAIM", ("h.sequence, h.part LIMIT 1", "h.sequence DESC, h.part LIMIT 1"))
    _swap(claims, "DUE", ("AND (b.sequence, b.part) < (o.sequence, o.part)", "AND false"))


def _no_outbox_sweep(claims: Any) -> None:
    _swap(claims, "DUE", ("WHERE o.state = 'pending'", "WHERE false AND o.state = 'pending'"))


BUGS: Mapping[str, Bug] = {
    "ack_before_commit": Bug(
        "channels_app.webhooks.asgi", _ack_before_commit, ("kill_web",), ("a acknowledged is never lost",),
        "answers 200 first and stores a second later"),
    "ack_on_error": Bug(
        "channels_app.webhooks.asgi", _ack_on_error, ("database", "kill_all"), ("a acknowledged is never lost",),
        "answers 200 although the database took nothing"),
    "missing_unique": Bug(
        "channels_app.webhooks.intake", _missing_unique, ("calm",), ("c once for the agent",),
        "gives every event a key of its own"),
    "shared_secret_lookup": Bug(
        "channels_app.webhooks.account_cache", _shared_secret_lookup, ("calm", "attack", "calm"),
        ("b nothing unexpected",),
        "checks a webhook with any account's secret"),
    "id_greater_than_last": Bug(
        "connect_bridge.inbound.router", _id_greater_than_last, ("calm", "late_commits", "late_commits"),
        ("a acknowledged is never lost", "i nothing waits"),
        "reads the intake from the last id on"),
    "no_fence": Bug(
        "connect_bridge.storage.relaying", _no_fence, ("calm", "slow_connect", "slow_connect"),
        ("c once for the agent", "d in order for the agent"),
        "relays what another bridge owns"),
    "fence_stands_still": Bug(
        "connect_bridge.storage.ownership", _fence_stands_still, ("calm", "kill_bridge"), ("h fences only grow",),
        "changes the owner without raising the fence"),
    "no_takeover": Bug(
        "connect_bridge.storage.ownership", _no_takeover, ("calm", "kill_bridge"),
        ("a acknowledged is never lost", "i nothing waits"),
        "leaves a dead bridge its conversations"),
    "no_backfill": Bug(
        "connect_bridge.listening.chat_transcript", _no_backfill, ("kill_bridge", "sockets"),
        ("e nothing lost on the way out",),
        "never reads Connect's transcript"),
    "random_client_token": Bug(
        "connect_bridge.relay.chat_starter", _random_client_token, ("lost_answers",), ("c once for the agent",),
        "asks Connect again under a new token"),
    "initial_message_forgotten": Bug(
        "connect_bridge.storage.chats", _initial_message_forgotten, ("long_hellos",), ("a acknowledged is never lost",),
        "loses the second part of a long first message at a takeover"),
    "capture_without_dedupe": Bug(
        "connect_bridge.storage.capture", _capture_without_dedupe, ("kill_bridge",),
        ("f doubled only after doubt", "j transcripts agree"),
        "stores an item again whenever it is read again"),
    "drop_on_participant_left": Bug(
        "connect_bridge.connect.items", _drop_on_participant_left, ("chats",), ("e nothing lost on the way out",),
        "takes the agent's leaving for the end"),
    "dropped_dead_letter": Bug(
        "connect_bridge.outbox.queries", _dropped_dead_letter, ("refusals",), ("e nothing lost on the way out",),
        "shows a refused message as accepted"),
    "resend_after_uncertain": Bug(
        "connect_bridge.outbox.sender", _resend_after_uncertain, ("lost_sends",), ("f doubled only after doubt",),
        "sends again what may have arrived, and says nothing"),
    "expired_claim_is_pending": Bug(
        "connect_bridge.outbox.queries", _expired_claim_is_pending, ("dead_senders",), ("f doubled only after doubt",),
        "sends again what a dead worker may have sent"),
    "outbox_out_of_order": Bug(
        "connect_bridge.outbox.queries", _outbox_out_of_order, ("kill_worker",), ("d in order for the customer",),
        "sends a conversation's newest message first"),
    "no_outbox_sweep": Bug(
        "connect_bridge.outbox.queries", _no_outbox_sweep, ("broken_messengers",),
        ("e nothing lost on the way out", "i nothing waits"),
        "trusts the broker to remember"),
}  # fmt: skip


class _Planter(importlib.abc.MetaPathFinder):
    """Finds one module by the ordinary means and changes it once it is there."""

    def __init__(self, bug: Bug) -> None:
        self.bug = bug

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        if name != self.bug.module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        run = spec.loader.exec_module

        def run_and_change(module: ModuleType) -> None:
            run(module)
            self.bug.change(module)

        spec.loader.exec_module = run_and_change  # type: ignore[method-assign]
        return spec


def plant(name: str) -> None:
    """Plant one bug into this process. Refuses where Parley is not for this machine alone."""
    if not os.environ.get("PUBLIC_BASE_URL", "http://127.0.0.1").startswith("http://127.0.0.1"):
        raise SystemExit("PARLEY_PLANTED_BUG is for tests on this machine")
    sys.meta_path.insert(0, _Planter(BUGS[name]))
