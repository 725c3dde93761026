"""Twilio's error bodies. Source: twilio.com/docs/api/errors."""

from __future__ import annotations

from aiohttp import web

from sandbox.world.calls import Refusal
from sandbox.world.faults import Fault


def oops(status: int, code: int, message: str) -> Refusal:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return Refusal(status, {"code": code, "message": message, "more_info": more, "status": status}, code)


def no_such(request: web.Request) -> Refusal:
    path = request.path.removeprefix("/twilio")
    return oops(404, 20404, f"The requested resource {path} was not found")


def _throttled(fault: Fault) -> Refusal:
    refusal = oops(429, 20429, "Too Many Requests")
    return Refusal(429, refusal.body, 20429, {"Retry-After": str(int(fault.seconds or 1))})


def _broken(fault: Fault) -> Refusal:
    return oops(fault.status or 503, 20503, "Service unavailable")


REFUSALS = {
    "throttle": _throttled,
    "error5xx": _broken,
    "auth": lambda _fault: oops(401, 20003, "Authenticate"),
    "expire_token": lambda _fault: oops(401, 20003, "Authenticate"),
}
