"""Twilio's platform: signed forms in, its SDK out, its error codes.

Facts: twilio.com/docs, "Webhooks security", "Messages resource", "Error and warning dictionary".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import requests
from twilio.base.exceptions import TwilioException
from twilio.http.response import Response
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from channels_app.declarations import Api
from channels_app.errors import BadRequest, BadSignature, InvalidContent, SendFailed, UnknownOutcome, Unusable
from channels_app.platforms.twilio_codes import CODES
from channels_app.toolkit.http import Http, outcome_of
from channels_app.toolkit.http_errors import refusal, retry_at
from channels_app.toolkit.json_body import read_object, storable
from channels_app.toolkit.payloads import key_of, number, text_at
from channels_app.toolkit.signatures import signature_of
from channels_app.types import (
    Answer,
    FoundSent,
    Listed,
    ListedInbound,
    ListedSend,
    ListedSent,
    ReceiptStatus,
    Secret,
    VerifiedWebhook,
    WebhookRequest,
)

API = Api(setting="TWILIO_API_BASE_URL", addresses=("https://api.twilio.com", "https://messaging.twilio.com"))
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
#: TwiML that says nothing. Any other text Twilio sends to the customer, or logs as an error.
NOTHING = Answer(status=200, body=b"<Response/>", content_type="text/xml")
#: Twilio's own forms have some forty fields.
MOST_FIELDS = 1_000
#: Messages that one look at what was sent reads.
NEWEST = 50
#: Messages that one look at all that came in, or went out, reads, in how large pages. Twilio's largest page is 1,000.
MOST_LISTED = 2_000
PAGE = 500
_SID = re.compile(r"[A-Z]{2}[0-9a-fA-F]{32}")
_MEDIA_PATH = re.compile(r"/2010-04-01/Accounts/AC\w{1,64}/Messages/\w{1,64}/Media/\w{1,128}\Z", re.ASCII)
STATUSES = {
    **dict.fromkeys(
        ("accepted", "scheduled", "queued", "sending", "sent", "partially_delivered"), ReceiptStatus.ACCEPTED
    ),
    "delivered": ReceiptStatus.DELIVERED,
    "read": ReceiptStatus.READ,
    **dict.fromkeys(("undelivered", "failed", "canceled"), ReceiptStatus.FAILED),
}


def status_of(form: Mapping[str, str]) -> str:
    """Return what a form says became of a message, "received" if it is one that came in.

    A channel's own receipt says so in EventType, which may be ahead of the status beside it: read is read.
    """
    event = form.get("EventType", "").lower()
    status = (form.get("MessageStatus") or form.get("SmsStatus") or "").lower()
    if event in STATUSES and (not status or (event == "read" and status in ("sent", "delivered"))):
        return event
    return status or "received"


def media_type(request: WebhookRequest) -> str:
    """Return the content type; raise BadRequest for a charset that is not Twilio's."""
    kind, _, rest = request.headers.get("content-type", "").lower().partition(";")
    charset = re.search(r"charset\s*=\s*\"?([^\s;\"]*)", rest)
    if charset and charset[1] not in ("utf-8", "utf8"):
        raise BadRequest("charset")
    return kind.strip()


def verify(request: WebhookRequest, auth_token: Secret) -> VerifiedWebhook:
    """Check X-Twilio-Signature over the configured URL and the form, with Twilio's own validator.

    JSON is signed through `bodySHA256` in the query. Whatever the validator stumbles over is a bad signature.
    """
    kind = media_type(request)
    if request.body.count(b"&") >= MOST_FIELDS:
        raise BadRequest("too_many_fields")
    signature = signature_of(request, "x-twilio-signature").decode()
    if kind not in (FORM, JSON):
        raise BadRequest("content_type")
    url = f"{request.url}?{request.query}" if request.query else request.url
    try:
        content: Any = request.body.decode() if kind == JSON else _pairs(request.body)
        genuine = RequestValidator(auth_token.reveal()).validate(url, content, signature)
    except Exception:  # noqa: BLE001 - the validator raises TypeError and more on what Twilio never sends
        genuine = False
    if not genuine or (kind == JSON and "bodySHA256=" not in request.query):  # it lets an empty body pass without
        raise BadSignature("the signature does not match")
    return VerifiedWebhook(request)


def _pairs(body: bytes) -> dict[str, str]:
    """Return the form's fields, blank ones too; raise ValueError if one comes twice or is not UTF-8."""
    pairs = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body), errors="strict")
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field comes twice")
    return fields


def fields_of(webhook: VerifiedWebhook) -> dict[str, str]:
    """Return the fields of a verified form; NUL becomes U+FFFD."""
    return {storable(name): storable(value) for name, value in _pairs(webhook.body).items()}


def message_sid(form: Mapping[str, str]) -> str:
    """Return the message's id; raise Unusable unless it is in the documented form, or confirmed by its older name.

    Twilio's signature does not say where a value ends and the next name begins, so whoever replays a form can move
    that boundary, and with it the id that duplicates are known by.
    """
    sid, older = form.get("MessageSid", ""), form.get("SmsSid") or form.get("SmsMessageSid")
    if not _SID.fullmatch(sid) and not (sid == older and sid.isascii() and sid.isalnum()):
        raise Unusable("no MessageSid of two letters and 32 hexadecimal digits")
    return sid


class _SdkHttp:
    """The HTTP client that Twilio's SDK is given: ours. It keeps what the SDK's exceptions drop.

    That is the headers and, of a list that was refused, everything.
    """

    def __init__(self, http: Http) -> None:
        self._http = http
        self.headers: Mapping[str, str] = {}
        self.status = 0
        self.error: dict[str, Any] = {}

    def request(self, method: str, uri: str, params: Any = None, data: Any = None, **options: Any) -> Response:
        passed_on = {name: options.get(name) for name in ("headers", "auth")}
        is_json = (options.get("headers") or {}).get("Content-Type") == JSON
        body = {"json": data} if is_json else {"data": data}
        response = self._http.request(method, uri, params=params, **body, **passed_on)
        self.headers, self.status = response.headers, response.status_code
        self.error = {} if response.ok else _json(response.content)
        return Response(response.status_code, response.text, response.headers)


def _json(body: bytes) -> dict[str, Any]:
    try:
        return read_object(body)
    except Unusable:
        return {}


@contextmanager
def client(http: Http, account_sid: str, auth_token: Secret) -> Iterator[Client]:
    """Lend Twilio's SDK for one call; its exceptions leave as SendFailed, a senseless answer as UnknownOutcome."""
    sdk_http = _SdkHttp(http)
    try:
        yield Client(account_sid, auth_token.reveal(), http_client=sdk_http)
    except TwilioException as problem:
        raise _refusal(sdk_http, getattr(problem, "msg", "") or getattr(problem, "detail", "")) from None
    except (ValueError, KeyError, TypeError, AttributeError):  # the SDK stumbled over the answer
        if sdk_http.status >= HTTPStatus.BAD_REQUEST:
            raise _refusal(sdk_http, "") from None
        raise UnknownOutcome("Twilio answered, but not whether it took the message") from None


def _refusal(sdk_http: _SdkHttp, words: str) -> SendFailed:
    error = sdk_http.error
    code = code_of(error.get("code"))
    words = words or text_at(error, "message") or text_at(error, "detail") or text_at(error, "title")
    return refusal(sdk_http.status, words, code, kind=CODES.get(code), retry_at=retry_at(sdk_http.headers))


def code_of(raw: Any) -> str:
    """Return an error code as text, "" for none: Twilio writes it as a number or as text, and none as 0 or nothing."""
    code = number(raw)
    if code is None:
        return raw.strip() if isinstance(raw, str) else ""
    return str(int(code)) if code else ""


def read_file(http: Http, account_sid: str, auth_token: Secret, url: str, most: int) -> bytes:
    """Return the beginning of a message's file, at most so many bytes; raise a SendFailed.

    Only the path of the address is believed. Twilio redirects to where the file lies; credentials do not go along, and
    only to Twilio's own hosts and to where the API is ("Media subresource").
    """
    path = _MEDIA_PATH.search(url)
    if path is None or f"/{account_sid}/" not in path[0]:
        raise InvalidContent("not the address of a file of this account's")
    answer = http.request("GET", f"{API.addresses[0]}{path[0]}", auth=(account_sid, auth_token.reveal()), stream=True)
    place = urljoin(answer.url or "", answer.headers.get("location", ""))
    if answer.is_redirect and _is_twilios(place, answer.url or ""):
        answer.close()
        answer = http.request("GET", place, stream=True)
    try:
        if answer.status_code != HTTPStatus.OK:
            raise refusal(answer.status_code, "the file is not there", "")
        return next(answer.iter_content(most), b"")
    except requests.RequestException as failure:
        raise outcome_of(failure) from None
    finally:
        answer.close()


def _is_twilios(place: str, api: str) -> bool:
    there, here = urlsplit(place), urlsplit(api)
    host = there.hostname or ""
    return (there.scheme, there.netloc) == (here.scheme, here.netloc) or (
        there.scheme == "https" and host.endswith((".twilio.com", ".twiliocdn.com"))
    )


def find_sent(client: Client, ends: Mapping[str, str], text: str, since: datetime) -> FoundSent:
    """Look through the newest messages between two addresses. Twilio lists the newest first, a page in one call.

    What is listed as failed did not arrive, and so is not found.
    """
    listed = client.messages.list(**ends, limit=NEWEST, page_size=NEWEST)
    recent = [message for message in listed if message.date_created >= since]
    not_failed = [message for message in recent if STATUSES.get(str(message.status)) is not ReceiptStatus.FAILED]
    ids = [message.sid for message in not_failed if " ".join((message.body or "").split()) == " ".join(text.split())]
    return FoundSent(message_ids=tuple(reversed(ids)), complete=len(listed) < NEWEST or len(recent) < len(listed))


def list_received(client: Client, address: str, since: datetime) -> ListedInbound:
    """Return what was written to our address. The list has the newest first, so reading stops at the first older one.

    DateSent is not asked for: of what came in, it is when Twilio called our webhook ("Messages resource").
    """
    messages: list[Listed] = []
    for count, message in enumerate(client.messages.stream(to=address, limit=MOST_LISTED, page_size=PAGE), start=1):
        if message.date_created < since:
            break
        if message.direction == "inbound":
            form = {
                "MessageSid": message.sid,
                "SmsSid": message.sid,
                "SmsStatus": "received",
                "AccountSid": message.account_sid,
            }
            content = {
                "From": message.from_,
                "To": message.to,
                "Body": message.body or "",
                "NumMedia": message.num_media or "0",
            }
            messages.append(Listed(key=key_of("m", message.sid), at=message.date_created, raw=form | content))
        if count == MOST_LISTED:
            return ListedInbound(messages=tuple(messages), complete=False)
    return ListedInbound(messages=tuple(messages), complete=True)


def list_sent(client: Client, address: str, since: datetime) -> ListedSent:
    """Return what our address sent, whatever became of it; the newest comes first, as above."""
    messages: list[ListedSend] = []
    for count, message in enumerate(client.messages.stream(from_=address, limit=MOST_LISTED, page_size=PAGE), start=1):
        if message.date_created < since:
            break
        if message.direction != "inbound":
            messages.append(ListedSend(message_id=message.sid, at=message.date_created))
        if count == MOST_LISTED:
            return ListedSent(messages=tuple(messages), complete=False)
    return ListedSent(messages=tuple(messages), complete=True)


def as_form(client: Client, url: str, listed: Listed) -> VerifiedWebhook:
    """Return a message that we listed as the form that Twilio would have posted. Its files take another call.

    The list does not say what kind of message it is, so one without text or file is shown as a kind that cannot be.
    """
    form: dict[str, str] = {**listed.raw}
    if form["NumMedia"] != "0":
        files = client.messages(form["MessageSid"]).media.list(limit=10)
        form["NumMedia"] = str(len(files))
        for index, file in enumerate(files):
            form[f"MediaUrl{index}"] = f"{API.addresses[0]}{str(file.uri).removesuffix('.json')}"
            form[f"MediaContentType{index}"] = str(file.content_type)
    elif not form["Body"]:
        form["MessageType"] = "not listed by Twilio"
    headers = {"content-type": FORM}
    return VerifiedWebhook(WebhookRequest(method="POST", url=url, headers=headers, body=urlencode(form).encode()))
