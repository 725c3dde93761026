"""Amazon Comprehend: sentiment, language, key phrases, over its JSON protocol. Behind it is a lexicon (lexicon.py)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiohttp import web

from sandbox.world import lexicon
from sandbox.world.amazon import Amazon
from sandbox.world.aws_errors import AwsError, refusal
from sandbox.world.aws_front import Call, Front, Handler, Served

#: Amazon Comprehend API Reference: bytes of one document, documents of one batch, bytes for the language.
DOCUMENT_BYTES = 5 * 1024
BATCH_DOCUMENTS = 25
LANGUAGE_BYTES = 100 * 1024
LANGUAGE_CHARACTERS = 20
PHRASE_BYTES = 100 * 1024


def detect(call: Call) -> dict[str, Any]:
    """Score one text (DetectSentiment)."""
    _within(call.params["Text"], DOCUMENT_BYTES)
    call.notes |= {"engine": "lexicon", "documents": 1}
    return _scored(call.params["Text"], call.params["LanguageCode"])


def detect_batch(call: Call) -> dict[str, Any]:
    """Score up to 25 texts (BatchDetectSentiment); those too long are in ErrorList, the others are scored."""
    texts, language = call.params["TextList"], call.params["LanguageCode"]
    if len(texts) > BATCH_DOCUMENTS:
        raise AwsError("BatchSizeLimitExceededException", f"The batch has {len(texts)} texts; 25 are allowed")
    results, errors = [], []
    for index, text in enumerate(texts):
        if len(text.encode()) > DOCUMENT_BYTES:
            message = f"Input text size exceeds limit. Max length of request text allowed is {DOCUMENT_BYTES} bytes"
            errors.append({"Index": index, "ErrorCode": "TEXT_SIZE_LIMIT_EXCEEDED", "ErrorMessage": message})
        else:
            results.append({"Index": index, **_scored(text, language)})
    call.notes |= {"engine": "lexicon", "documents": len(texts), "failed": len(errors)}
    return {"ResultList": results, "ErrorList": errors}


def detect_language(call: Call) -> dict[str, Any]:
    """Guess the language of a text of at least 20 characters (DetectDominantLanguage)."""
    text = call.params["Text"]
    _within(text, LANGUAGE_BYTES)
    if len(text) < LANGUAGE_CHARACTERS:
        raise AwsError("InvalidRequestException", f"Text must have at least {LANGUAGE_CHARACTERS} characters")
    call.notes["engine"] = "lexicon"
    return {"Languages": [{"LanguageCode": code, "Score": score} for code, score in lexicon.languages(text)]}


def detect_phrases(call: Call) -> dict[str, Any]:
    """Find noun phrases (DetectKeyPhrases), as well as word lists can."""
    _within(call.params["Text"], PHRASE_BYTES)
    key_phrases = lexicon.phrases(call.params["Text"], call.params["LanguageCode"])
    call.notes |= {"engine": "lexicon", "phrases": len(key_phrases)}
    return {
        "KeyPhrases": [
            {"Text": text, "BeginOffset": begin, "EndOffset": begin + len(text), "Score": 0.95}
            for text, begin in key_phrases
        ]
    }


OPERATIONS: dict[str, Handler] = {
    "DetectSentiment": detect,
    "BatchDetectSentiment": detect_batch,
    "DetectDominantLanguage": detect_language,
    "DetectKeyPhrases": detect_phrases,
}


def _scored(text: str, language: str) -> dict[str, Any]:
    label, scores = lexicon.sentiment(text, language)
    return {"Sentiment": label, "SentimentScore": scores}


def _within(text: str, limit: int) -> None:
    size = len(text.encode())
    if size > limit:
        raise AwsError(
            "TextSizeLimitExceededException", f"Input text size exceeds limit: {size} bytes, {limit} are allowed"
        )


class JsonProtocol:
    """Finds the operation by the header X-Amz-Target, as AWS's JSON 1.1 protocol does."""

    def __init__(self, front: Front) -> None:
        self.served: dict[str, Served] = {
            f"{front.model.metadata['targetPrefix']}.{name}": front.serve(name, handler)
            for name, handler in OPERATIONS.items()
        }

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request; an operation that this world does not have is UnknownOperationException."""
        target = request.headers.get("X-Amz-Target", "")
        if target not in self.served:
            known = ", ".join(self.served)
            return refusal(AwsError("UnknownOperationException", f"X-Amz-Target {target!r} is not one of {known}"))
        return await self.served[target].answer(request)

    async def refuse_cbor(self, _request: web.Request) -> web.StreamResponse:
        """Say that the newer protocol is not spoken here."""
        message = "This simulator speaks Comprehend's JSON protocol (X-Amz-Target), not Smithy RPC v2 CBOR"
        return refusal(AwsError("UnknownOperationException", message))


def routes(amazon: Amazon) -> Iterable[web.AbstractRouteDef]:
    """Return the routes."""
    front = Front(amazon.world, "comprehend", "comprehend", lambda _call: "account", amazon.quotas)
    protocol = JsonProtocol(front)
    return [web.post("/", protocol.answer), web.post("/service/{tail:.*}", protocol.refuse_cbor)]
