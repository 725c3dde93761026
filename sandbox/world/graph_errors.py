"""Graph's error bodies.

Sources: developers.facebook.com, "Graph API", handling errors; "Messenger Platform", error codes.
"""

from __future__ import annotations

import secrets
from typing import Any

import msgspec

from sandbox.world.calls import Refusal
from sandbox.world.faults import Fault

Json = dict[str, Any]


def oops(code: int, message: str, subcode: int = 0, status: int = 400) -> Refusal:
    """Make Graph's error body. `fbtrace_id` is random, as Meta's is to us."""
    error: Json = {"message": message, "type": "OAuthException", "code": code}
    if subcode:
        error["error_subcode"] = subcode
    error["fbtrace_id"] = "A" + secrets.token_urlsafe(16)
    return Refusal(status, {"error": error}, f"{code}/{subcode}" if subcode else code)


def bad_token() -> Refusal:
    return oops(190, "Error validating access token: The session is invalid.", 463, 401)


def outside_window() -> Refusal:
    link = "https://developers.facebook.com/docs/messenger-platform/policy-overview"
    text = f"(#10) This message is sent outside of allowed window. Learn more about the new policy here: {link}"
    return oops(10, text, 2018278)


def unavailable() -> Refusal:
    return oops(551, "(#551) This person isn't available right now.", 1545041)


def _throttled(fault: Fault) -> Refusal:
    code = int(fault.code or 613)
    refusal = oops(code, f"(#{code}) Calls to this api have exceeded the rate limit.")
    usage = {"call_count": 100, "total_cputime": 25, "total_time": 25}
    return Refusal(400, refusal.body, code, {"X-App-Usage": msgspec.json.encode(usage).decode()})


def _broken(fault: Fault) -> Refusal:
    refusal = oops(2, "An unexpected error has occurred. Please retry your request later.", 0, fault.status or 500)
    body = {"error": {**refusal.body["error"], "is_transient": True}}
    return Refusal(refusal.status, body, 2)


REFUSALS = {
    "throttle": _throttled,
    "error5xx": _broken,
    "auth": lambda _fault: bad_token(),
    "expire_token": lambda _fault: bad_token(),
}
