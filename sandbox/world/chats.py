"""All chats of the simulated instance: their tokens, what is said in them, how they begin and end."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from sandbox.world.aws_errors import access_denied
from sandbox.world.chat import EVENT, Chat, Contact, Item, Participant, Role, Visibility, iso, new_id, with_nulls
from sandbox.world.world import World


@dataclass(slots=True)
class Connection:
    """What a connection token stands for. `said` maps a client token to the answer that it got the first time."""

    participant: Participant
    token: str
    expires: float
    said: dict[Any, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SocketTicket:
    """A websocket URL that was given out. Times are Unix seconds."""

    participant: Participant
    open_before: float
    expires: float


@dataclass(slots=True)
class Chats:
    """The store. Nothing here survives the process, and `forget` empties it."""

    world: World
    by_contact: dict[str, Chat] = field(default_factory=dict)
    by_client_token: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    participants: dict[str, Participant] = field(default_factory=dict)
    connections: dict[str, Connection] = field(default_factory=dict)
    tickets: dict[str, SocketTicket] = field(default_factory=dict)
    active: int = 0
    ended_listeners: list[Callable[[Chat], None]] = field(default_factory=list)
    _last: float = 0.0

    def forget(self) -> None:
        """Drop every chat and hang up every socket."""
        for chat in set(self.by_contact.values()):
            self._stop_timers(chat)
            for participant in chat.participants:
                for line in tuple(participant.sockets):
                    line.hang_up(1001)
        for store in (self.by_contact, self.by_client_token, self.participants, self.connections, self.tickets):
            store.clear()
        self.active, self._last = 0, 0.0

    def open(self, chat: Chat, customer_name: str) -> Participant:
        """Take in a new chat with its customer, who has five minutes to connect."""
        self.by_contact[chat.initial_id] = chat
        self.active += 1
        customer = self.join(chat, "CUSTOMER", customer_name)
        loop = asyncio.get_running_loop()
        chat.timers.append(loop.call_later(self.world.settings.connect_within, self._give_up, chat))
        return customer

    def join(self, chat: Chat, role: Role, name: str) -> Participant:
        """Add a participant with a token of their own. Publishes nothing."""
        participant = Participant(new_id(), role, name, chat, secrets.token_urlsafe(240))
        chat.participants.append(participant)
        chat.tokens.append(participant.token)
        self.participants[participant.token] = participant
        return participant

    def await_arrival(self, participant: Participant) -> None:
        """Let a custom participant who does not ask for a connection in time be gone again."""
        within = self.world.settings.custom_participant_connects_within
        timer = asyncio.get_running_loop().call_later(within, self._not_arrived, participant)
        participant.chat.timers.append(timer)

    def dismiss_custom(self, chat: Chat) -> None:
        """Disconnect custom participants: an agent or a Lex bot joins (chat-customize-flow)."""
        for participant in chat.present():
            if participant.role == "CUSTOM_BOT":
                self.leave(participant)

    def participant(self, token: str) -> Participant:
        """Return whose participant token this is. Raises AccessDeniedException (403)."""
        holder = self.participants.get(token)
        if holder is None or holder.gone or holder.chat.stage == "ended":
            raise access_denied()
        return holder

    def connection(self, token: str, operation: str) -> Connection:
        """Return what this connection token stands for. Raises AccessDeniedException (403), also when expired."""
        opened = self.connections.get(token)
        if opened is None or opened.participant.gone or opened.participant.chat.stage == "ended":
            raise access_denied()
        if time.time() >= opened.expires or self.world.faults.fires("expire_token", operation):
            del self.connections[token]
            raise access_denied()
        return opened

    def credentials(self, participant: Participant) -> dict[str, str]:
        """Give out a connection token, which lives for one day."""
        expires = time.time() + self.world.settings.connection_token_lifetime
        connection = Connection(participant, secrets.token_urlsafe(240), expires)
        self.connections[connection.token] = connection
        participant.chat.tokens.append(connection.token)
        return {"ConnectionToken": connection.token, "Expiry": iso(expires + self.world.settings.clock_ahead)}

    def websocket(self, participant: Participant) -> dict[str, str]:
        """Give out a websocket URL: to be opened within 100 s, and good for about an hour."""
        now, settings = time.time(), self.world.settings
        token = secrets.token_urlsafe(48)
        self.tickets[token] = SocketTicket(participant, now + settings.url_opens_within, now + settings.socket_lifetime)
        participant.chat.tokens.append(token)
        url = self.world.base_url.replace("http", "ws", 1)
        return {
            "Url": f"{url}/ws/{token}",
            "ConnectionExpiry": iso(now + settings.socket_lifetime + settings.clock_ahead),
        }

    def connection_details(self, participant: Participant, types: list[str]) -> dict[str, Any]:
        """Return the members of a connection that were asked for."""
        details: dict[str, Any] = {}
        if "WEBSOCKET" in types:
            details["Websocket"] = self.websocket(participant)
        if "CONNECTION_CREDENTIALS" in types:
            details["ConnectionCredentials"] = self.credentials(participant)
        return details

    def clock(self) -> float:
        """Return Unix seconds of Connect's own clock, which may differ from this machine's. They never go back."""
        self._last = max(self._last, time.time() + self.world.settings.clock_ahead)
        return self._last

    def item(self, chat: Chat, kind: str, content_type: str, sender: Participant | None = None, **more: Any) -> Item:
        """Make an item of this chat, now. The same instant may occur twice, an earlier one never follows."""
        return Item(
            absolute_time=iso(self.clock()),
            id=new_id(),
            type=kind,
            content_type=content_type,
            participant_id=sender.id if sender else None,
            display_name=sender.display_name if sender else None,
            participant_role=sender.role if sender else None,
            initial_contact_id=chat.initial_id,
            contact_id=chat.contact.id,
            **more,
        )

    def event(self, chat: Chat, name: str, sender: Participant | None = None, *, keep: bool = True) -> Item:
        """Publish an event such as `participant.joined`; `keep` puts it into the transcript."""
        return self.publish(chat, self.item(chat, "EVENT", EVENT + name, sender), keep=keep)

    def say(self, chat: Chat, text: str, name: str = "SYSTEM_MESSAGE", visibility: Visibility = "ALL") -> Item:
        """Publish a flow's or a bot's plain message, whose role is SYSTEM."""
        item = self.item(chat, "MESSAGE", "text/plain", content=text)
        item.participant_role, item.display_name, item.participant_id = "SYSTEM", name, chat.initial_id
        return self.publish(chat, item, visibility)

    def publish(self, chat: Chat, item: Item, visibility: Visibility = "ALL", *, keep: bool = True) -> Item:
        """Send the item to every subscribed socket that may see it, its sender's too, and keep it."""
        if keep:
            chat.places[item.id] = len(chat.items)
            chat.items.append((item, visibility))
        frame = framed(item, nulls=self.world.faults.fires("null_members", "frame") is not None)
        sockets, deaf = 0, list[str]()
        for participant in chat.participants:
            if participant.sockets and participant.sees(visibility) and self._reaches(participant, item):
                sockets += len(participant.sockets)
                swallowed = [line.deliver(frame) for line in participant.sockets]
                if all(swallowed):
                    deaf.append(participant.role)
        self.world.ledger.append(
            "ws.frame",
            contact_id=chat.contact.id,
            initial_contact_id=chat.initial_id,
            item_id=item.id,
            type=item.type,
            content_type=item.content_type,
            role=item.participant_role,
            text=item.content,
            sockets=sockets,
            deaf=deaf,
        )
        return item

    def end(self, chat: Chat, reason: str) -> None:
        """End the chat: chat.ended is its last item, and every token of it is dead. Idempotent."""
        if chat.stage == "ended":
            return
        self.event(chat, "chat.ended")
        chat.stage = "ended"
        chat.contact.ended_at = time.time()
        chat.contact.disconnect_reason = reason
        self.active -= 1
        self._stop_timers(chat)
        for token in chat.tokens:
            for store in (self.participants, self.connections, self.tickets):
                store.pop(token, None)
        asyncio.get_running_loop().call_later(self.world.settings.closing_grace, _hang_up_all, chat.participants)
        self.world.ledger.append(
            "connect.ended", contact_id=chat.contact.id, initial_contact_id=chat.initial_id, reason=reason
        )
        for listener in self.ended_listeners:
            listener(chat)

    def leave(self, participant: Participant) -> None:
        """Let a participant leave: participant.left, then their tokens are dead."""
        self.event(participant.chat, "participant.left", participant)
        participant.gone = True
        asyncio.get_running_loop().call_later(self.world.settings.closing_grace, _hang_up_all, [participant])

    def next_contact(self, chat: Chat, queue: str) -> Contact:
        """Start the next segment: a new ContactId under the same InitialContactId."""
        before = chat.contact
        before.ended_at = time.time()
        contact = Contact(new_id(), queue or before.queue, previous_id=before.id, initiation_method="TRANSFER")
        chat.contacts.append(contact)
        self.by_contact[contact.id] = chat
        return contact

    def _reaches(self, participant: Participant, item: Item) -> bool:
        return not participant.gone or item.content_type == EVENT + "chat.ended"

    def _not_arrived(self, participant: Participant) -> None:
        if not participant.asked and not participant.gone and participant.chat.stage != "ended":
            self.leave(participant)

    def _give_up(self, chat: Chat) -> None:
        if chat.stage == "new":
            self.end(chat, "CUSTOMER_NEVER_ARRIVED")

    def _stop_timers(self, chat: Chat) -> None:
        for timer in chat.timers:
            timer.cancel()
        chat.timers.clear()


def framed(item: Item, *, nulls: bool = False) -> str:
    """Wrap an item as the chat websocket does: the item is a JSON string inside the frame."""
    content = msgspec.json.encode(with_nulls(item) if nulls else item).decode()
    frame = {"topic": "aws/chat", "contentType": "application/json", "content": content}
    return msgspec.json.encode(frame).decode()


def _hang_up_all(participants: list[Participant]) -> None:
    for participant in participants:
        for line in tuple(participant.sockets):
            line.hang_up(1000)
