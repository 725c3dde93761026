"""Times and limits of the simulated AWS: its documented values, each of which a test may shorten."""

from __future__ import annotations

import msgspec


class Settings(msgspec.Struct, kw_only=True):
    """What the simulator obeys. Times are seconds, sizes are bytes.

    Sources: Amazon Connect API Reference (StartChatContact: connect within five minutes, chats last 25 hours;
    CreateParticipantConnection: open the URL within 100 s, connection tokens live one day) and the administrator
    guide's page of quotas. The life of a websocket, about an hour, is only known from reports.
    """

    quotas: bool = True
    rates: dict[str, tuple[float, float]] = {}
    """Operation to (requests a second, burst); overrides the documented rates in quotas.py."""
    raised: float = 1.0
    """How many times the documented rates and numbers of chats: an account whose quotas Amazon has raised."""
    instances: frozenset[str] = frozenset()
    flows: frozenset[str] = frozenset()
    """The ids that exist; empty: every id does."""
    unpublished_flows: frozenset[str] = frozenset()
    """Flows that were saved and never published."""
    connect_within: float = 300.0
    custom_participant_connects_within: float = 15.0
    chat_duration: float = 25 * 3600.0
    url_opens_within: float = 100.0
    socket_lifetime: float = 3600.0
    socket_idle: float = 600.0
    """How long a socket may be silent, heartbeats included: API Gateway's idle timeout; not verified for Connect."""
    connection_token_lifetime: float = 86_400.0
    closing_grace: float = 5.0
    """How long a socket stays open after chat.ended when its client does not close it."""
    shuffle_delay: float = 0.05
    """How long the fault frame_shuffle holds a frame back."""
    concurrent_chats: int = 500
    chats_per_agent: int = 10
    sockets_per_participant: int = 5
    streaming_endpoints: int = 2
    attachment_bytes: int = 20 * 1024 * 1024
    attachments_per_chat: int = 35
    upload_url_lifetime: float = 300.0
    message_bytes: int = 16_384
    participants_per_chat: int = 6
    clock_ahead: float = 0.0
    """How many seconds Connect's clock is ahead of this machine's; behind it, if negative."""
    rewrites: dict[str, str] = {}
    """Regular expression to what Connect puts in its place in flight, as a message processor or redaction does."""
    refuses_in_flight: dict[str, str] = {}
    """Regular expression to what becomes of a text that it matches: REJECTED by a message processor, or FAILED."""
    told_in_answer: bool = False
    """Whether SendMessage's own answer tells that, and not PROCESSING."""
    lex_characters: int = 1_024
