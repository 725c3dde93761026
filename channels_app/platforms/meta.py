"""Meta's platform: how Graph signs webhooks, checks an address, is called and says no.

Facts: developers.facebook.com, "Webhooks: getting started", "Graph API: handling errors", Messenger's "Error codes".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import requests

from channels_app.declarations import Api
from channels_app.errors import BadHandshake, BadSignature, HandshakeRefused, InvalidContent, SendFailed, Unusable
from channels_app.platforms.meta_codes import meaning
from channels_app.toolkit.http import Http
from channels_app.toolkit.http_errors import refusal, retry_at
from channels_app.toolkit.json_body import read_object
from channels_app.toolkit.payloads import list_at, number, object_at, text_at
from channels_app.toolkit.signatures import handshake_parameter, hmac_sha256, require_same, same, signature_of
from channels_app.types import Answer, Secret, VerifiedWebhook, WebhookRequest

API = Api(setting="GRAPH_API_BASE_URL", addresses=("https://graph.facebook.com",))
#: The version is ours, because the code is written for it.
GRAPH = f"{API.addresses[0]}/v26.0"
#: A batch holds up to a thousand updates.
MAX_BODY = 3 * 1024 * 1024
_CHALLENGE = re.compile(r"[0-9]{1,128}")
#: An access token: letters and digits, or an app's id and secret with a bar between them.
_TOKEN = re.compile(rb"[A-Za-z0-9_|.-]{16,1024}")


def verify(request: WebhookRequest, app_secret: Secret) -> VerifiedWebhook:
    """Check X-Hub-Signature-256: "sha256=" and hex, over the raw body. The older SHA-1 header does not count.

    A body in the form of an access token proves nothing: its signature goes out with each call, as `appsecret_proof`.
    """
    if _TOKEN.fullmatch(request.body):
        raise BadSignature("a body in the form of an access token")
    expected = "sha256=" + hmac_sha256(app_secret, request.body).hex()
    require_same(expected.encode(), signature_of(request, "x-hub-signature-256"))
    return VerifiedWebhook(request)


def handshake(request: WebhookRequest, verify_token: Secret) -> Answer:
    """Echo hub.challenge to who knows the verify token; raise BadHandshake or HandshakeRefused to others."""
    mode, token = (handshake_parameter(request, f"hub.{name}") for name in ("mode", "verify_token"))
    challenge = handshake_parameter(request, "hub.challenge")
    if mode != "subscribe":
        raise BadHandshake("hub.mode is not subscribe")
    if not verify_token or not same(verify_token.reveal().encode(), token.encode("utf-8", "replace")):
        raise HandshakeRefused("not the account's verify token: copy it into the webhook settings of the Meta app")
    if not _CHALLENGE.fullmatch(challenge):
        raise BadHandshake("hub.challenge is not a number")
    return Answer(status=200, body=challenge.encode(), content_type="text/plain")


class Graph:
    """Graph's API with one access token. The token goes in the query, as the Send API documents; traces drop queries.

    `appsecret_proof` goes along: apps that require it refuse calls without, the others check it if it is there.
    """

    def __init__(self, http: Http, access_token: Secret, app_secret: Secret) -> None:
        self._http = http
        token = access_token.reveal()
        self._query = {"access_token": token, "appsecret_proof": hmac_sha256(app_secret, token.encode()).hex()}

    def call(self, method: str, path: str, json: Any = None, **query: str) -> dict[str, Any]:
        """Return the answer's JSON, {} if it has none; raise a SendFailed for Graph's errors and broken connections."""
        response = self._http.request(method, f"{GRAPH}/{path}", params={**query, **self._query}, json=json)
        try:
            body = read_object(response.content)
        except Unusable:
            body = {}
        if response.ok and "error" not in body:
            return body
        raise _refusal(response, object_at(body, "error"))

    def profile(self, person: str) -> dict[str, str]:
        """Return display_name and picture_url. Error 230, "no profile consent", means that nothing is known."""
        try:
            answer = self.call("GET", quote(person, safe=""), fields="first_name,last_name,profile_pic")
        except SendFailed as problem:
            if problem.provider_code.startswith("230"):
                return {}
            raise
        name = f"{text_at(answer, 'first_name')} {text_at(answer, 'last_name')}".strip()
        return {"display_name": name, "picture_url": text_at(answer, "profile_pic")}

    def unsubscribed(self, page: str, needed: Sequence[str]) -> str:
        """Return which of the fields our app does not get of the Page, "" if it gets all ("Page subscribed_apps")."""
        missing = [name for name in needed if name not in self._subscribed(page)]
        return f"The app is not subscribed to the Page's {', '.join(missing)}." if missing else ""

    def subscribe(self, page: str, needed: Sequence[str], optional: Sequence[str] = ()) -> None:
        """Subscribe our app to the fields, besides those that it has: Meta replaces the whole list."""
        had, path = self._subscribed(page), f"{page}/subscribed_apps"
        self.with_fields(lambda fields: self.call("POST", path, subscribed_fields=fields), [*had, *needed], optional)

    @staticmethod
    def with_fields(ask: Callable[[str], Any], needed: Sequence[str], optional: Sequence[str]) -> None:
        """Ask for all of the fields or, if Meta does not know one that is only wanted, for those that are needed."""
        try:
            ask(",".join(dict.fromkeys((*needed, *optional))))
        except InvalidContent:
            if not optional:
                raise
            ask(",".join(dict.fromkeys(needed)))

    def _subscribed(self, page: str) -> list[str]:
        """Return our app's fields. Other apps may be subscribed too; then Graph is asked which of them is ours."""
        apps = list_at(self.call("GET", f"{page}/subscribed_apps"), "data")
        if len(apps) > 1:
            ours = text_at(self.call("GET", "app", fields="id"), "id")
            apps = [app for app in apps if text_at(app, "id") == ours]
        return [str(name) for app in apps for name in list_at(app, "subscribed_fields")]


def _refusal(response: requests.Response, error: dict[str, Any]) -> SendFailed:
    code, subcode = _number(error.get("code")), _number(error.get("error_subcode"))
    words = text_at(error, "message") or text_at(error, "error_user_msg")
    kind = meaning(code, subcode, words, transient=error.get("is_transient") is True)
    again = retry_at(response.headers) or _access_regained(response.headers)
    both = f"{code}/{subcode}" if subcode else code
    return refusal(response.status_code, words, both, kind=kind, retry_at=again)


def _number(raw: Any) -> str:
    """Return a code as text, "" for none. It comes as a number or as text; 0 is none."""
    code = number(raw)
    return str(int(code)) if code else ""


def _access_regained(headers: Mapping[str, str]) -> datetime | None:
    """Read X-Business-Use-Case-Usage: {id: [{"estimated_time_to_regain_access": minutes}]}."""
    try:
        usage = read_object(headers.get("x-business-use-case-usage", "{}").encode())
    except Unusable:
        return None
    uses = (use for name in usage for use in list_at(usage, name))
    minutes = max((number(object_at(use).get("estimated_time_to_regain_access")) or 0 for use in uses), default=0)
    return datetime.now(UTC) + timedelta(minutes=min(minutes, 24 * 60)) if minutes > 0 else None


def chat_link(address: str, _greeting: str, code: str) -> str:
    """Return a link to the Page; Meta returns the code as a referral, without a first message ("m.me links")."""
    return f"https://m.me/{address}?ref={quote(code, safe='')}"


def referral(raw: Any) -> str:
    """Return what led the customer here: our own ref, the ad, the source ("Webhook events: messaging_referrals")."""
    ad, product = text_at(raw, "ad_id"), text_at(raw, "product", "id")
    title = text_at(raw, "ads_context_data", "ad_title")
    parts = (text_at(raw, "ref"), title, ad and f"ad {ad}", product and f"product {product}", text_at(raw, "source"))
    return " · ".join(filter(None, parts))
