"""StartChatContact, and chats that carry on from earlier ones."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from sandbox.world.amazon import Amazon
from sandbox.world.aws_errors import AwsError
from sandbox.world.aws_front import Call
from sandbox.world.chat import INTERACTIVE, INTERACTIVE_RESPONSE, TEXT, Chat, Contact, Participant, new_id
from sandbox.world.contact_view import ATTRIBUTE_BYTES, check_attributes
from sandbox.world.settings import Settings

CONTENT_TYPES = frozenset({TEXT, "text/markdown", "application/json", INTERACTIVE, INTERACTIVE_RESPONSE})


class StartChat:
    """Starts chats (Amazon Connect API Reference, StartChatContact)."""

    def __init__(self, amazon: Amazon) -> None:
        self.amazon = amazon
        self.chats = amazon.chats

    def start(self, call: Call) -> dict[str, Any]:
        """Start a chat, which waits five minutes for its customer to connect.

        A repeated ClientToken returns the first contact, even when that one is over. Concurrent chats above the
        quota are LimitExceededException; what is wrong with the request is InvalidRequestException.
        """
        params = call.params
        name = params["ParticipantDetails"]["DisplayName"]
        call.notes |= {"client_token": params.get("ClientToken"), "display_name": name}
        call.notes["attributes"] = params.get("Attributes") or {}
        key = (params["InstanceId"], params.get("ClientToken") or "")
        known = self.chats.by_client_token.get(key)
        if known is not None:
            call.notes |= {"repeated": True, "contact_id": known["ContactId"]}
            return known
        self._check(params)
        past = self._past(params.get("PersistentChat"))
        chat = self._new_chat(params)
        customer = self.chats.open(chat, name)
        call.notes |= {"contact_id": chat.initial_id, "initial_contact_id": chat.initial_id}
        result = {"ContactId": chat.initial_id, "ParticipantId": customer.id, "ParticipantToken": customer.token}
        if past is not None:
            result["ContinuedFromContactId"] = self._rehydrate(chat, *past)
        self._say_first(customer, params.get("InitialMessage"))
        result |= self._extras(customer, params)
        if key[1]:
            self.chats.by_client_token[key] = result
        return result

    def associate(self, call: Call) -> dict[str, Any]:
        """Rehydrate a past chat into one that goes on (CreatePersistentContactAssociation)."""
        chat = self.chats.by_contact.get(call.params["InitialContactId"])
        if chat is None or chat.stage == "ended":
            raise AwsError("ResourceNotFoundException", "The specified contact was not found")
        if chat.past:
            raise AwsError("InvalidRequestException", "The chat already continues an earlier one")
        past = self._past(call.params)
        assert past is not None
        return {"ContinuedFromContactId": self._rehydrate(chat, *past)}

    def _check(self, params: dict[str, Any]) -> None:
        settings = self.amazon.world.settings
        check_route(settings, params["InstanceId"], params["ContactFlowId"])
        if settings.quotas and self.chats.active >= settings.concurrent_chats * settings.raised:
            raise AwsError("LimitExceededException", "The quota of concurrent active chats is exceeded")
        check_attributes(params.get("Attributes") or {}, ATTRIBUTE_BYTES)
        types = params.get("SupportedMessagingContentTypes")
        if types is not None and (TEXT not in types or not CONTENT_TYPES.issuperset(types)):
            raise _invalid(
                f"SupportedMessagingContentTypes must have {TEXT} and only {', '.join(sorted(CONTENT_TYPES))}"
            )
        if params.get("PersistentChat") and params.get("RelatedContactId"):
            raise _invalid("RelatedContactId and PersistentChat must not be given together")
        if not params["ParticipantDetails"]["DisplayName"].strip():
            raise _invalid("ParticipantDetails: DisplayName must not be blank")
        self._check_first(params.get("InitialMessage"), types or [TEXT])

    def _check_first(self, message: dict[str, str] | None, types: list[str]) -> None:
        """Refuse an InitialMessage that could not be sent as a message either."""
        if message is None:
            return
        limit = self.amazon.world.settings.message_bytes
        if message["ContentType"] not in types:
            raise _invalid(f"InitialMessage: ContentType {message['ContentType']} is not supported")
        if not message["Content"].strip() or len(message["Content"].encode()) > limit:
            raise _invalid(f"InitialMessage: Content must not be blank, and have {limit} bytes at most")

    def _new_chat(self, params: dict[str, Any]) -> Chat:
        contact = Contact(new_id())
        return Chat(
            initial_id=contact.id,
            instance_id=params["InstanceId"],
            flow_id=params["ContactFlowId"].rsplit("/", 1)[-1],
            contacts=[contact],
            attributes=params.get("Attributes") or {},
            segment_attributes=params.get("SegmentAttributes") or {},
            content_types=frozenset(params.get("SupportedMessagingContentTypes") or [TEXT]),
            customer_id=params.get("CustomerId") or "",
            related_contact_id=params.get("RelatedContactId") or "",
        )

    def _say_first(self, customer: Participant, message: dict[str, str] | None) -> None:
        if message:
            kind, content = message["ContentType"], message["Content"]
            self.chats.publish(
                customer.chat, self.chats.item(customer.chat, "MESSAGE", kind, customer, content=content)
            )

    def _extras(self, customer: Participant, params: dict[str, Any]) -> dict[str, Any]:
        """Return what was asked for beside the tokens, and set the timer that ends the chat."""
        chat, minutes = customer.chat, params.get("ChatDurationInMinutes")
        seconds = minutes * 60 if minutes else self.amazon.world.settings.chat_duration
        loop = asyncio.get_running_loop()
        chat.timers.append(loop.call_later(seconds, self.chats.end, chat, "EXPIRED"))
        extras = self.chats.connection_details(customer, params.get("ConnectionTypes") or [])
        streaming = params.get("ChatStreamingConfiguration")
        if streaming:
            extras["StreamingId"] = new_id()
            chat.streams[extras["StreamingId"]] = streaming["StreamingEndpointArn"]
        return extras

    def _past(self, persistent: dict[str, Any] | None) -> tuple[Chat, int] | None:
        """Return the chat to continue and how many of its items count. Only chats that are over can be continued."""
        if not persistent:
            return None
        source = self.chats.by_contact.get(persistent.get("SourceContactId") or "")
        if source is None or source.stage != "ended":
            raise _invalid("PersistentChat: SourceContactId is not a chat that has ended")
        contact_id = persistent["SourceContactId"]
        if persistent.get("RehydrationType") != "FROM_SEGMENT":
            return source, len(source.items)
        upto = [contact.id for contact in source.contacts]
        kept = set(upto[: upto.index(contact_id) + 1])
        return source, sum(item.contact_id in kept or bool(item.related_contact_id) for item, _ in source.items)

    def _rehydrate(self, chat: Chat, source: Chat, count: int) -> str:
        """Put the items of the past chat before those of the new one; return the id of what it continues."""
        past = [
            (msgspec.structs.replace(item, related_contact_id=item.related_contact_id or item.contact_id), visibility)
            for item, visibility in source.items[:count]
        ]
        chat.items[:0] = past
        chat.past = len(past)
        chat.places = {item.id: place for place, (item, _) in enumerate(chat.items)}
        chat.related_contact_id = source.contact.id
        self.chats.event(chat, "chat.rehydrated")
        return source.contact.id


def check_route(settings: Settings, instance_id: str, flow_id: str = "") -> None:
    """Refuse an instance or a flow that is not there, and a flow that was never published."""
    flow = flow_id.rsplit("/", 1)[-1]
    if settings.instances and instance_id.rsplit("/", 1)[-1] not in settings.instances:
        raise AwsError("ResourceNotFoundException", "Instance not found")
    if flow and settings.flows and flow not in settings.flows:
        raise AwsError("ResourceNotFoundException", "Contact flow not found")
    if flow in settings.unpublished_flows:
        raise AwsError("InvalidRequestException", "The contact flow has not been published")


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidRequestException", message)
