"""Who is calling the X API: OAuth 1.0a signatures checked against the original address, and bearer tokens."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from aiohttp import web
from oauthlib.oauth1.rfc5849 import signature, utils  # type: ignore[import-untyped]

from sandbox.world.accounts import Account, Phones
from sandbox.world.calls import Refusal, reply
from sandbox.world.world import World

#: X refuses a request whose clock is further off than this, in seconds.
CLOCK_TOLERANCE = 300
#: Where clients believe they are; they sign this address before the call is rewritten to the simulator.
HOSTS = ("https://api.twitter.com", "https://api.x.com", "https://upload.twitter.com", "https://upload.x.com")


def unauthorized(*, v1: bool) -> Refusal:
    if v1:
        return Refusal(401, {"errors": [{"code": 32, "message": "Could not authenticate you."}]}, 32)
    return Refusal(401, {"title": "Unauthorized", "type": "about:blank", "status": 401, "detail": "Unauthorized"}, 401)


def _bad_app(code: int, message: str) -> Refusal:
    label = "authenticity_token_error"
    return Refusal(403, {"errors": [{"code": code, "message": message, "label": label}]}, code)


def user_context_wanted() -> Refusal:
    ways = "[OAuth 1.0a User Context, OAuth 2.0 User Context]"
    detail = (
        "Authenticating with OAuth 2.0 Application-Only is forbidden for this endpoint.  "
        f"Supported authentication types are {ways}."
    )
    kind = "https://api.twitter.com/2/problems/unsupported-authentication"
    return Refusal(403, {"title": "Unsupported Authentication", "detail": detail, "type": kind, "status": 403}, 403)


@dataclass(slots=True)
class XAuth:
    """Knows the accounts' keys and the nonces that were used already."""

    world: World
    nonces: dict[tuple[str, str], float] = field(default_factory=dict)

    def reset(self) -> None:
        self.nonces.clear()

    async def close(self) -> None:
        """Nothing is open here."""

    def user(self, request: web.Request, body: bytes) -> Account:
        """Return the account on whose behalf the call is; refuse without a user context."""
        account, app_only = self._who(request, body)
        if app_only:
            raise user_context_wanted()
        return account

    def app(self, request: web.Request, body: bytes) -> Account:
        """Return an account of the calling app, whichever way it authenticated."""
        return self._who(request, body)[0]

    async def token(self, request: web.Request) -> web.Response:
        """POST /oauth2/token: the app's own bearer token, for its key and secret (Basic)."""
        kind, _, pair = request.headers.get("Authorization", "").partition(" ")
        form = await request.post()
        if kind != "Basic" or form.get("grant_type") != "client_credentials":
            raise _bad_app(170, "Missing required parameter: grant_type")
        key, _, secret = base64.b64decode(pair).decode("utf-8", "replace").partition(":")
        account = self.world.part(Phones).by_secret("twitter", "consumer_key", key)
        if account is None or account.credentials.get("consumer_secret") != secret:
            raise _bad_app(99, "Unable to verify your credentials")
        made = account.credentials.setdefault("bearer_token", f"AAAA{hashlib.sha256(pair.encode()).hexdigest()}")
        return reply({"token_type": "bearer", "access_token": made})

    def _who(self, request: web.Request, body: bytes) -> tuple[Account, bool]:
        header, phones = request.headers.get("Authorization", ""), self.world.part(Phones)
        v1 = "/1.1/" in request.path
        if header.startswith("Bearer "):
            for key, app_only in (("oauth2_token", False), ("bearer_token", True)):
                account = phones.by_secret("twitter", key, header.removeprefix("Bearer "))
                if account is not None:
                    return account, app_only
            raise unauthorized(v1=v1)
        oauth = self._oauth(header, v1=v1)
        account = phones.by_secret("twitter", "access_token", oauth.get("oauth_token", ""))
        if account is None or account.credentials.get("consumer_key") != oauth.get("oauth_consumer_key"):
            raise unauthorized(v1=v1)
        if not self._fresh(oauth) or not _signed(request, body, oauth, account):
            raise unauthorized(v1=v1)
        return account, False

    def _oauth(self, header: str, *, v1: bool) -> dict[str, str]:
        if not header.startswith("OAuth "):
            raise unauthorized(v1=v1)
        try:
            return {name: utils.unescape(value) for name, value in utils.parse_authorization_header(header)}
        except ValueError as problem:
            raise unauthorized(v1=v1) from problem

    def _fresh(self, oauth: dict[str, str]) -> bool:
        if oauth.get("oauth_signature_method") != "HMAC-SHA1" or oauth.get("oauth_version", "1.0") != "1.0":
            return False
        now, stamp = time.time(), oauth.get("oauth_timestamp", "")
        key = (oauth.get("oauth_token", ""), oauth.get("oauth_nonce", ""))
        if not stamp.isdecimal() or not key[1] or abs(now - int(stamp)) > CLOCK_TOLERANCE or key in self.nonces:
            return False
        self.nonces[key] = now
        if len(self.nonces) > 10_000:  # noqa: PLR2004 - forget those that the clock check refuses anyway
            self.nonces = {k: at for k, at in self.nonces.items() if now - at < 2 * CLOCK_TOLERANCE}
        return True


def _addresses(request: web.Request) -> Iterator[str]:
    """Yield every address that the client may have signed for this call."""
    yield str(request.url)
    path = request.raw_path.removeprefix("/x")
    for host in HOSTS:
        yield host + path


def _signed(request: web.Request, body: bytes, oauth: dict[str, str], account: Account) -> bool:
    form = request.content_type == "application/x-www-form-urlencoded"
    secrets = (account.credentials.get("consumer_secret", ""), account.credentials.get("access_token_secret", ""))
    key = "&".join(utils.escape(secret) for secret in secrets).encode()
    params = signature.collect_parameters(
        uri_query=request.query_string and request.raw_path.partition("?")[2],
        body=body.decode("utf-8", "replace") if form else "",
        headers={"Authorization": request.headers["Authorization"]},
    )
    normal = signature.normalize_parameters(params)
    for address in _addresses(request):
        base = signature.signature_base_string(request.method, signature.base_string_uri(address), normal)
        digest = base64.b64encode(hmac.new(key, base.encode(), hashlib.sha1).digest()).decode()
        if hmac.compare_digest(digest, oauth.get("oauth_signature", "")):
            return True
    return False
