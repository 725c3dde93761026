"""X's platform: signature and CRC, direct messages through tweepy, error codes.

Facts: docs.x.com, "Webhooks", "Manage Direct Messages", "Response codes and errors", "Rate limits".
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

import requests
import tweepy

from channels_app.declarations import Api
from channels_app.errors import BadHandshake, BadSignature, SendFailed, UnknownOutcome, Unusable
from channels_app.platforms.x_codes import meaning
from channels_app.platforms.x_contents import plain
from channels_app.toolkit.http import Http, outcome_of
from channels_app.toolkit.http_errors import refusal, retry_at
from channels_app.toolkit.json_body import read_object
from channels_app.toolkit.payloads import key_of, list_at, number, object_at, text_at
from channels_app.toolkit.same_text import words_of
from channels_app.toolkit.signatures import handshake_parameter, hmac_sha256, require_same, signature_of
from channels_app.types import (
    Answer,
    FoundSent,
    Listed,
    ListedInbound,
    ListedSend,
    ListedSent,
    Secret,
    VerifiedWebhook,
    WebhookRequest,
)

API = Api(setting="X_API_BASE_URL", addresses=("https://api.twitter.com", "https://upload.twitter.com"))
#: The CRC answer is made with the key that signs webhooks: to sign JSON here would be to forge events for a stranger.
_CRC_TOKEN = re.compile(r"[A-Za-z0-9_=+/-]{1,128}")
#: Where the link goes that X puts at the end of a message with a file.
_OWN = "/messages/media/"
#: Direct messages that one look at what was sent reads: a page.
NEWEST = 100
#: Limits of a day, as the headers call them (public reports).
_OF_A_DAY = ("user-limit-24hour", "app-limit-24hour")
#: Where X's words stand, in v1.1, v2 and OAuth, the more telling first.
_SAYING = ("detail", "message", "error_description", "error", "title")
#: Pages that one look at what was received reads. X answers 15 such calls in 15 minutes, and so three looks.
MOST_PAGES = 4


def verify(request: WebhookRequest, consumer_secret: Secret) -> VerifiedWebhook:
    """Check x-twitter-webhooks-signature: "sha256=" and base64, over the raw body.

    A body that could be a CRC token proves nothing: whoever knows our address could have had it signed by `handshake`.
    """
    if _CRC_TOKEN.fullmatch(request.body.decode("latin-1")):
        raise BadSignature("a body in the form of a crc_token")
    require_same(_signed(consumer_secret, request.body).encode(), signature_of(request, "x-twitter-webhooks-signature"))
    return VerifiedWebhook(request)


def handshake(request: WebhookRequest, consumer_secret: Secret) -> Answer:
    """Answer the Challenge-Response Check, which X repeats hourly; raise BadHandshake for what X would not ask."""
    token = handshake_parameter(request, "crc_token")
    if not _CRC_TOKEN.fullmatch(token):
        raise BadHandshake("crc_token is not one that X makes")
    return Answer(status=200, body=json.dumps({"response_token": _signed(consumer_secret, token.encode())}).encode())


def _signed(consumer_secret: Secret, data: bytes) -> str:
    return "sha256=" + base64.b64encode(hmac_sha256(consumer_secret, data)).decode()


class _SdkSession:
    """The session that tweepy is given: ours. It keeps the answer, over which tweepy may stumble."""

    def __init__(self, session: requests.Session) -> None:
        self._session = session
        self.answer: requests.Response | None = None

    def request(self, *args: Any, **options: Any) -> requests.Response:
        self.answer = self._session.request(*args, **options)
        return self.answer


@contextmanager
def client(http: Http, keys: dict[str, str], bearer: str = "") -> Iterator[tweepy.Client]:
    """Lend tweepy for one call; its exceptions leave as SendFailed, a senseless answer as UnknownOutcome.

    `bearer` is the app's own token, for calls that take no user's.
    """
    client = tweepy.Client(bearer_token=bearer or None, **keys, return_type=dict)
    client.session = session = _SdkSession(http.session)
    try:
        yield client
    except tweepy.HTTPException as problem:
        raise _refusal(problem.response) from None
    except requests.RequestException as failure:
        raise outcome_of(failure) from None
    except (ValueError, TypeError, AttributeError):  # tweepy stumbled over the answer
        if session.answer is not None and not session.answer.ok:
            raise _refusal(session.answer) from None
        raise UnknownOutcome("X answered, but not whether it took the message") from None


def send_text(http: Http, keys: dict[str, str], recipient: str, text: str) -> str:
    """Send a direct message and return its id; raise a SendFailed.

    `keys` are tweepy's four: consumer_key, consumer_secret, access_token, access_token_secret.
    """
    with client(http, keys) as tweets:
        sent = text_at(tweets.create_direct_message(participant_id=recipient, text=text), "data", "dm_event_id")
    if not sent:
        raise UnknownOutcome("X answered, but not whether it took the message")
    return sent


def find_sent(http: Http, keys: dict[str, str], ends: tuple[str, str], text: str, since: datetime) -> FoundSent:
    """Look through the newest direct messages between two users, (us, them): GET .../with/:participant_id/dm_events.

    15 calls in 15 minutes. X lists the newest first.
    """
    us, them = ends
    with client(http, keys) as tweets:
        fields = ["id", "text", "sender_id", "created_at"]
        answer = tweets.get_direct_message_events(
            participant_id=them, dm_event_fields=fields, event_types="MessageCreate", max_results=NEWEST
        )
        listed = [(event, datetime.fromisoformat(text_at(event, "created_at"))) for event in list_at(answer, "data")]
    recent, words = [event for event, at in listed if at >= since], words_of(text)
    ours = (
        event
        for event in recent
        if text_at(event, "sender_id") == us and words_of(plain(text_at(event, "text"))) == words
    )
    ids = tuple(text_at(event, "id") for event in ours)
    complete = not text_at(answer, "meta", "next_token") or len(recent) < len(listed)
    return FoundSent(message_ids=ids[::-1], complete=complete)


def list_received(http: Http, keys: dict[str, str], us: str, since: datetime) -> ListedInbound:
    """Return what others wrote to us alone: GET /2/dm_events, the newest first. Their ids are those of the webhooks.

    What X encrypts is not in this list ("Direct Messages lookup"; "X Chat").
    """
    recent, complete = _recent(http, keys, since)
    ours = tuple(message for message in recent if _to_us_alone(us, message.raw["event"]))
    return ListedInbound(messages=ours, complete=complete)


def list_sent(http: Http, keys: dict[str, str], us: str, since: datetime) -> ListedSent:
    """Return what we wrote to single users, from the same list: it has both directions."""
    recent, complete = _recent(http, keys, since)
    ours = (
        message
        for message in recent
        if text_at(message.raw["event"], "sender_id") == us and _of_two(us, message.raw["event"])
    )
    sends = tuple(ListedSend(message_id=text_at(message.raw["event"], "id"), at=message.at) for message in ours)
    return ListedSent(messages=sends, complete=complete)


def _recent(http: Http, keys: dict[str, str], since: datetime) -> tuple[list[Listed], bool]:
    """Return all direct messages since then, of both directions, and whether the list reached back that far."""
    params: dict[str, Any] = {
        "dm_event_fields": ["id", "text", "sender_id", "created_at", "dm_conversation_id", "attachments", "entities"],
        "expansions": ["sender_id", "attachments.media_keys"],
        "media_fields": ["media_key", "type", "url", "preview_image_url", "variants"],
        "user_fields": ["name", "username", "profile_image_url"],
        "event_types": "MessageCreate",
        "max_results": NEWEST,
    }
    messages: list[Listed] = []
    with client(http, keys) as tweets:
        for _ in range(MOST_PAGES):
            answer = tweets.get_direct_message_events(**params)
            page = [_listed(message, object_at(answer, "includes")) for message in list_at(answer, "data")]
            messages += [message for message in page if message.at >= since]
            params["pagination_token"] = text_at(answer, "meta", "next_token")
            if not params["pagination_token"] or any(message.at < since for message in page):
                return messages, True
    return messages, False


def _listed(event: dict[str, Any], includes: dict[str, Any]) -> Listed:
    writer, files = text_at(event, "sender_id"), list_at(event, "attachments", "media_keys")
    raw = {
        "event": event,
        "user": next((entry for entry in list_at(includes, "users") if text_at(entry, "id") == writer), {}),
        "media": next((entry for entry in list_at(includes, "media") if text_at(entry, "media_key") in files), {}),
    }
    at = datetime.fromisoformat(text_at(event, "created_at"))
    return Listed(key=key_of("m", text_at(event, "id")), at=at, raw=raw)


def _to_us_alone(us: str, event: dict[str, Any]) -> bool:
    """Say whether somebody else wrote it, and in no group."""
    return text_at(event, "sender_id") not in ("", us) and _of_two(us, event)


def _of_two(us: str, event: dict[str, Any]) -> bool:
    """Say whether it is ours and one other's: the id of a one-to-one conversation is both users' ids."""
    writer, name = text_at(event, "sender_id"), text_at(event, "dm_conversation_id")
    pair = name.split("-")
    return not name or (len(pair) == len((us, writer)) and us in pair and writer in pair)


def as_activity(us: str, url: str, listed: Listed) -> VerifiedWebhook:
    """Return a message that we listed as Account Activity would have brought it."""
    event, media = listed.raw["event"], listed.raw["media"]
    data = {"text": text_at(event, "text"), "entities": object_at(event, "entities")}
    if media:
        own = (
            text_at(link, "url") for link in list_at(event, "entities", "urls") if _OWN in text_at(link, "expanded_url")
        )
        clips = [
            {"bitrate": variant.get("bit_rate"), "url": variant.get("url")} for variant in list_at(media, "variants")
        ]
        file = {
            "type": text_at(media, "type"),
            "url": next(own, ""),
            "media_url_https": text_at(media, "url") or text_at(media, "preview_image_url"),
        }
        data["attachment"] = {"type": "media", "media": file | ({"video_info": {"variants": clips}} if clips else {})}
    created = {"target": {"recipient_id": us}, "sender_id": text_at(event, "sender_id"), "message_data": data}
    stamp = str(int(listed.at.timestamp() * 1000))
    message = {
        "type": "message_create",
        "id": text_at(event, "id"),
        "created_timestamp": stamp,
        "message_create": created,
    }
    users = {created["sender_id"]: listed.raw["user"]}
    body = json.dumps({"for_user_id": us, "direct_message_events": [message], "users": users}).encode()
    headers = {"content-type": "application/json"}
    return VerifiedWebhook(WebhookRequest(method="POST", url=url, headers=headers, body=body))


def _refusal(response: requests.Response) -> SendFailed:
    """v1.1 has `errors` with codes; v2 a problem (RFC 7807), whose `errors` may be problems too; gateways have HTML."""
    try:
        body = read_object(response.content)
    except Unusable:
        body = {}
    problems = [body, *filter(None, map(object_at, list_at(body, "errors")))]
    codes = [_code(problem.get("code")) or text_at(problem, "type").rpartition("/")[2] for problem in problems]
    words = [text_at(problem, name) for problem in problems for name in _SAYING]
    code, kind = meaning(codes, words)
    used_up = [name for name in _OF_A_DAY if response.headers.get(f"x-{name}-remaining") == "0"]
    again = retry_at(response.headers, *(f"x-{name}-reset" for name in (*used_up, "rate-limit")))
    return refusal(response.status_code, next(filter(None, words), ""), code, kind=kind, retry_at=again)


def _code(raw: Any) -> str:
    code = number(raw)
    return str(int(code)) if code else ""


def chat_link(address: str, greeting: str, code: str) -> str:
    """Return a link that fills the customer's first message in (docs.x.com, "Direct Message compose links")."""
    query = urlencode({"recipient_id": address, "text": f"{greeting} {code}"}, quote_via=quote)
    return f"https://x.com/messages/compose?{query}"
