"""A run without faults, told line by line, for tests to break."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.chaos.checker import judge
from tests.chaos.evidence import Evidence, Line, Stored, say

ADDRESSES = {0: "page-0", 1: "page-1"}


class Story:
    """A run in which a customer writes three messages and an agent answers each, told so that it can go wrong."""

    def __init__(self) -> None:
        self.ledger: list[dict[str, Any]] = []
        self.journal: list[dict[str, Any]] = []
        self.messages: list[dict[str, Any]] = []
        self.sends: list[dict[str, Any]] = []
        self.waiting = {"intake": 0, "relay": 0, "outbox": 0}
        self.contacts = [{"initial_contact_id": "chat", "state": "connected", "reason": ""}]
        attributes = {"channel_address": "page-0"}
        self.world("connect.StartChatContact", contact_id="chat", attributes=attributes, status=200)
        for number in (1, 2, 3):
            self.round(number)

    def world(self, what: str, **fields: Any) -> None:
        self.ledger.append({"what": what, **fields})

    def round(self, number: int) -> None:
        text, mid = say(0, 1, number), f"m{number}"
        self.world("phone.message", text=text, message_id=mid)
        self.world("webhook.messenger", event="message", text=text, message_id=mid, status=200, forged=False)
        self.frame(f"in{number}", "CUSTOMER", text)
        self.frame(f"out{number}", "AGENT", f"re: {text}")
        self.world("graph.send", text=f"re: {text}", status=200, cut=False)
        self.arrive(f"re: {text}")
        self.store(f"in{number}", "in", text, "relayed")
        self.store(f"out{number}", "out", f"re: {text}", "accepted")

    def frame(self, item: str, role: str, text: str, at: int | None = None) -> None:
        line = {"what": "ws.frame", "item_id": item, "initial_contact_id": "chat", "role": role, "type": "MESSAGE"}
        self.ledger.insert(len(self.ledger) if at is None else at, {**line, "text": text, "sockets": 1})

    def arrive(self, text: str, customer: str = "5550001", address: str = "page-0") -> None:
        self.world("phone.received", address=address, customer_id=customer, text=text)

    def store(self, item: str, direction: str, text: str, status: str) -> None:
        row = {"item": item, "direction": direction, "text": text, "status": status, "sequence": len(self.messages)}
        self.messages.append(row)
        if direction == "out":
            self.sends.append({"item": item, "state": "accepted", "error_code": ""})

    def find(self, what: str, **fields: Any) -> dict[str, Any]:
        return next(one for one in self.ledger if one["what"] == what and fields.items() <= one.items())

    def evidence(self) -> Evidence:
        stored = Stored(messages=self.messages, sends=self.sends, contacts=self.contacts, waiting=self.waiting)
        return Evidence(_lines(self.ledger), _lines(self.journal), stored, ADDRESSES)

    def broken(self) -> set[str]:
        return judge(self.evidence()).rules


def _lines(rows: list[Mapping[str, Any]]) -> list[Line]:
    return [
        Line(n, float(one.get("at", n)), one["what"], {key: one[key] for key in one if key not in ("what", "at")})
        for n, one in enumerate(rows)
    ]
