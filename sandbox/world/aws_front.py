"""What every simulated AWS operation has in common: routing, validation, rates, faults, errors, the ledger.

Paths, members and limits come from botocore's service models; an operation itself is a plain function from a
`Call` to the members of its answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import botocore.session
import msgspec
from aiohttp import web
from botocore.model import OperationModel, ServiceModel, StructureShape

from sandbox.world.aws_errors import AwsError, answer, refusal
from sandbox.world.aws_shapes import Check, Problem, ShapeCompiler
from sandbox.world.quotas import Quotas
from sandbox.world.world import World

BEARER = "X-Amz-Bearer"
INTEGERS = ("integer", "long")


@dataclass(slots=True)
class Call:
    """One validated request. What an operation puts into `notes` is added to its line in the ledger."""

    operation: str
    params: dict[str, Any]
    bearer: str = ""
    notes: dict[str, Any] = field(default_factory=dict)


Handler = Callable[[Call], dict[str, Any]]
#: Finds the scope whose rate a call uses up: the instance of a participant, or the account.
Scope = Callable[[Call], str]


@lru_cache
def service_model(service: str) -> ServiceModel:
    """Return botocore's model of a service."""
    return botocore.session.get_session().get_service_model(service)


class Front:
    """Serves the operations of one service. `prefix` begins their names in the ledger."""

    def __init__(self, world: World, service: str, prefix: str, scope: Scope, quotas: Quotas) -> None:
        self.world = world
        self.prefix = prefix
        self.scope = scope
        self.quotas = quotas
        self.model = service_model(service)
        self._shapes = ShapeCompiler()

    def routes(self, handlers: dict[str, Handler]) -> Iterable[web.RouteDef]:
        """Yield one route for each operation, where the service's model says that it lives."""
        for name, handler in handlers.items():
            served = self.serve(name, handler)
            yield web.route(served.http_method, served.path, served.answer)

    def serve(self, name: str, handler: Handler) -> Served:
        """Return the operation, ready to answer requests."""
        return Served(self, self.model.operation_model(name), handler)

    def check_of(self, operation: OperationModel) -> Check:
        """Return the compiled check of the operation's input."""
        shape = operation.input_shape
        return self._shapes.compile(shape) if shape is not None else lambda _value, _where, _found: None


class Served:
    """One operation behind its URL."""

    def __init__(self, front: Front, model: OperationModel, handler: Handler) -> None:
        self.front, self.model, self.handler = front, model, handler
        self.name = model.name
        self.http_method: str = model.http["method"]
        self.path: str = model.http["requestUri"]
        self.check = front.check_of(model)
        self.error_codes = {shape.name: shape for shape in model.error_shapes if isinstance(shape, StructureShape)}
        self.what = f"{front.prefix}.{self.name}"
        members = model.input_shape.members if model.input_shape is not None else {}
        self.bearer_member = next((n for n, m in members.items() if m.serialization.get("name") == BEARER), "")
        self.queries = {
            m.serialization["name"]: (n, m.type_name)
            for n, m in members.items()
            if m.serialization.get("location") == "querystring"
        }

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one HTTP request and write its line into the ledger."""
        started = time.perf_counter()
        call = Call(self.name, {})
        cut = False
        try:
            await self._read(request, call)
            await self._suffer(call)
            result = self.handler(call)
            cut = self.front.world.faults.fires("effect_then_reset", self.name) is not None
            response = answer(200, result)
            call.notes["status"] = 200
        except AwsError as error:
            call.notes |= {"status": error.status, "error": error.code, "message": error.message}
            response = refusal(error, self._message_member(error.code))
        if cut and request.transport is not None:
            call.notes["reset"] = True
            request.transport.abort()
        self.front.world.ledger.append(self.what, ms=round((time.perf_counter() - started) * 1000, 3), **call.notes)
        return response

    async def _read(self, request: web.Request, call: Call) -> None:
        params: dict[str, Any] = {}
        if request.can_read_body:
            params = _decoded(await request.read())
        params |= request.match_info
        for wire, (name, kind) in self.queries.items():
            if wire in request.query:
                value = request.query[wire]
                params[name] = int(value) if kind in INTEGERS and value.isdigit() else value
        call.bearer = request.headers.get(BEARER, "")
        if self.bearer_member:
            params[self.bearer_member] = call.bearer or None
        problems: list[Problem] = []
        self.check(params, "", problems)
        if problems:
            raise self._invalid(problems)
        call.params = params

    async def _suffer(self, call: Call) -> None:
        """Apply the faults that are on, then the rate."""
        faults = self.front.world.faults
        if slow := faults.fires("slow", self.name):
            await asyncio.sleep(slow.seconds)
        if faults.fires("auth", self.name):
            raise AwsError("AccessDeniedException", "User is not authorized to perform this operation")
        if fault := faults.fires("refuse", self.name):
            raise AwsError(fault.code or "ResourceNotFoundException", "Refused by a fault", fault.status)
        if fault := faults.fires("error5xx", self.name):
            raise AwsError(fault.code or self._server_error(), "Internal failure", fault.status or 500)
        if faults.fires("throttle", self.name) or not self.front.quotas.admits(self.name, self.front.scope(call)):
            raise self._throttled()

    def _throttled(self) -> AwsError:
        """Return the documented answer to too many requests; StartChatContact's page calls it TooManyRequests."""
        declared = "ThrottlingException" in self.error_codes
        return AwsError("ThrottlingException" if declared else "TooManyRequestsException", "Too Many Requests", 429)

    def _server_error(self) -> str:
        known = [code for code in ("InternalServiceException", "InternalServerException") if code in self.error_codes]
        return known[0] if known else "InternalFailure"

    def _invalid(self, problems: list[Problem]) -> AwsError:
        """Return the operation's own error for a request that its model forbids."""
        if any(problem.where == self.bearer_member and problem.kind == "missing" for problem in problems):
            return AwsError("AccessDeniedException", "Access denied")
        language = problems[0].where == "LanguageCode" and problems[0].kind == "value"
        if language and "UnsupportedLanguageException" in self.error_codes:
            return AwsError("UnsupportedLanguageException", problems[0].text)
        wrong_value = all(problem.kind == "value" for problem in problems)
        order = ["ValidationException", "InvalidRequestException", "InvalidParameterException"]
        if wrong_value:
            order.reverse()
        code = next((code for code in order if code in self.error_codes), "ValidationException")
        count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected: "
        return AwsError(code, count + "; ".join(problem.text for problem in problems))

    def _message_member(self, code: str) -> str:
        shape = self.error_codes.get(code) or next(iter(self.error_codes.values()), None)
        return "message" if shape is not None and "message" in shape.members else "Message"


def _decoded(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        params = msgspec.json.decode(body)
    except (ValueError, RecursionError):  # not JSON, not UTF-8, or nested without end
        raise AwsError("SerializationException", "The request body is not valid JSON") from None
    if not isinstance(params, dict):
        raise AwsError("SerializationException", "The request body must be a JSON object")
    return params
