"""What X tells beside direct messages: who follows or blocks us, encrypted chats, new names, access taken away.

Facts: docs.x.com, "Account Activity data objects", "X Activity API event payloads". `us` is our account's user id.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec

from channels_app import types
from channels_app.platforms.x_contents import plain, sender_of
from channels_app.toolkit import payloads
from channels_app.toolkit.payloads import Id, Payload, hash_key, key_of, object_at, short_id, text_at
from channels_app.types import InboundEvent, Part, PartKind, Sender

#: A number of 64 bits (X's OpenAPI description, UserId). Whatever else stands there is nobody's.
UserId = Annotated[str, msgspec.Meta(pattern=r"\A(?!0+\Z)[0-9]{1,20}\Z")]
#: What a customer does to us, and whether it allows us to write.
CONSENT = {"follow": True, "unfollow": False, "block": False, "unblock": True}


class _Encrypted(Payload, frozen=True):
    id: Id
    sender_id: UserId


def relation(us: str, verb: str, raw: Any) -> InboundEvent:
    """Somebody follows or blocks somebody: what a customer does to us is their consent."""
    verb, at = verb or text_at(raw, "type"), payloads.moment(text_at(raw, "created_timestamp"))
    who, whom = (object_at(raw, side, "data") or object_at(raw, side) for side in ("source", "target"))
    if text_at(whom, "id") != us or verb not in CONSENT:
        return payloads.unrecognised(us, verb, raw)
    sender, key = sender_of(payloads.read_as(UserId, who.get("id")), {who["id"]: who}), hash_key("c", verb, raw)
    return types.ConsentChanged(key=key, sender=sender, occurred_at=at, granted=CONSENT[verb], topic=verb)


def encrypted(us: str, raw: Any) -> InboundEvent:
    """X Chat is encrypted end to end: without the account's private keys we know only who wrote, and when."""
    event, parts = payloads.read_as(_Encrypted, raw), (Part(kind=PartKind.ENCRYPTED),)
    key, name, at = key_of("m", event.id), short_id(event.id), payloads.moment(text_at(raw, "created_at_msec"))
    if event.sender_id == us:
        others = {*text_at(raw, "conversation_id").split(":")} - {us, ""}
        if not re.fullmatch("(?!0+$)[0-9]{1,20}", other := min(others, default="")):
            return payloads.unrecognised(us, "an encrypted message to a group", raw)
        sender = Sender(external_id=other)
        return types.Echoed(key=key, sender=sender, occurred_at=at, message_id=name, parts=parts)
    sender = Sender(external_id=event.sender_id)
    return types.MessageReceived(key=key, sender=sender, occurred_at=at, message_id=name, parts=parts)


def renamed(whose: str, what: str, raw: Any) -> InboundEvent:
    """Read a new handle or name, the customer's or our own."""
    field = "handle" if what.endswith("handle") else "display_name"
    known = {"external_id": payloads.read_as(UserId, whose), field: plain(text_at(raw, "after"))}
    sender = payloads.read_as(Sender, known)
    return types.IdentityChanged(key=hash_key(what, whose, raw), sender=sender, former_id=whose)


def revoked(us: str, user: str, raw: Any) -> InboundEvent:
    """Read that a user took our app's access away; only our own account's concerns us."""
    if user != us:
        return payloads.misaddressed(us, user, raw)
    key, said = hash_key("revoke", raw), "the app's access was revoked"
    return types.AccountChanged(key=key, sender=Sender(external_id=user), topic="oauth.revoke", detail=said)
