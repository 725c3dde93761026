"""Amazon Lex V2 runtime: RecognizeText. Any bot id is the same small bot, see bot.py."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiohttp import web

from sandbox.world import bot
from sandbox.world.amazon import Amazon
from sandbox.world.aws_front import Call, Front
from sandbox.world.chat import new_id


class Lex:
    """The bot's sessions: attributes by bot, alias, locale and session id. They last as long as the world."""

    def __init__(self, amazon: Amazon) -> None:
        self.sessions: dict[tuple[str, ...], dict[str, str]] = {}
        amazon.forgetters.append(self.sessions.clear)

    def recognize(self, call: Call) -> dict[str, Any]:
        """Answer one text (Amazon Lex V2 API Reference, RecognizeText)."""
        params = call.params
        key = tuple(params[name] for name in ("botId", "botAliasId", "localeId", "sessionId"))
        attributes = self.sessions.get(key, {}) | ((params.get("sessionState") or {}).get("sessionAttributes") or {})
        self.sessions[key] = attributes
        reply = bot.understand(params["text"])
        call.notes |= {"session_id": params["sessionId"], "intent": reply.intent, "text": params["text"]}
        understood = reply.intent != bot.FALLBACK[0]
        intent = {
            "name": reply.intent,
            "slots": {},
            "state": "Fulfilled" if understood else "Failed",
            "confirmationState": "None",
        }
        return {
            "messages": [{"content": reply.text, "contentType": "PlainText"}],
            "sessionState": {
                "dialogAction": {"type": "Close" if understood else "ElicitIntent"},
                "intent": intent,
                "sessionAttributes": attributes,
                "originatingRequestId": new_id(),
            },
            "interpretations": [
                {"nluConfidence": {"score": reply.confidence}, "intent": intent, "interpretationSource": "Lex"}
            ],
            "requestAttributes": params.get("requestAttributes") or {},
            "sessionId": params["sessionId"],
        }


def routes(amazon: Amazon) -> Iterable[web.AbstractRouteDef]:
    """Return the route of RecognizeText."""
    front = Front(amazon.world, "lexv2-runtime", "lex", lambda call: call.params["botId"], amazon.quotas)
    return front.routes({"RecognizeText": Lex(amazon).recognize})
