"""Amazon Comprehend through boto3: one client for all threads, one attempt for each call; scoring retries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analytics.sentiment.engine import EngineError, ItemFailed, KeyPhrase, Refused, Score, Throttled
from connect_bridge.aws import AwsError, AwsRefused, aws_errors, shared_client

#: Calls at a time: Comprehend takes about ten batches a second.
THREADS = 4
_THROTTLES = {"ThrottlingException", "TooManyRequestsException", "ProvisionedThroughputExceededException"}
_OURS = {
    "AccessDeniedException",
    "UnrecognizedClientException",
    "InvalidSignatureException",
    "ExpiredTokenException",
    "UnknownOperationException",
}
#: Codes in ErrorList that another attempt may mend.
_PASSING = {"INTERNAL_SERVER_ERROR", "INTERNAL_SERVER_EXCEPTION", "TOO_MANY_REQUESTS", "THROTTLED"}


class Comprehend:
    """The engine. `model` is the API's own version: Amazon names no version of the model behind it."""

    model = "Comprehend_20171127"

    def sentiment(self, texts: Sequence[str], language: str) -> list[Score | ItemFailed]:
        answer = self._call("batch_detect_sentiment", TextList=list(texts), LanguageCode=language)
        answers: list[Score | ItemFailed] = [ItemFailed("MISSING", final=False)] * len(texts)
        for result in answer.get("ResultList", []):
            answers[result["Index"]] = _score(result["SentimentScore"])
        for error in answer.get("ErrorList", []):
            code = str(error.get("ErrorCode", ""))
            answers[error["Index"]] = ItemFailed(code, final=code.upper() not in _PASSING)
        return answers

    def language(self, text: str) -> str:
        languages = self._call("detect_dominant_language", Text=text).get("Languages", [])
        return str(max(languages, key=lambda language: language["Score"])["LanguageCode"]) if languages else ""

    def key_phrases(self, text: str, language: str) -> list[KeyPhrase]:
        answer = self._call("detect_key_phrases", Text=text, LanguageCode=language)
        return [
            KeyPhrase(phrase["Text"], phrase["BeginOffset"], phrase["EndOffset"], phrase["Score"])
            for phrase in answer.get("KeyPhrases", [])
        ]

    def _call(self, operation: str, **arguments: Any) -> Any:
        try:
            with aws_errors(operation):
                return getattr(shared_client("comprehend"), operation)(**arguments)
        except AwsRefused as refusal:
            raise _meaning(operation, refusal) from None
        except AwsError as failure:
            raise EngineError(f"Comprehend did not answer {operation}: {failure.kind}") from None


def _score(raw: Any) -> Score:
    return Score(positive=raw["Positive"], negative=raw["Negative"], neutral=raw["Neutral"], mixed=raw["Mixed"])


def _meaning(operation: str, refusal: AwsRefused) -> EngineError:
    code, status = refusal.code, refusal.status
    text = f"Comprehend refused {operation}: {code} ({status})"
    if code in _THROTTLES or status == 429:  # noqa: PLR2004 - HTTP
        return Throttled(text)
    if status >= 500:  # noqa: PLR2004 - HTTP
        return EngineError(text)
    if code in _OURS or status in (401, 403):
        return Refused(f"{text}; check the AWS credentials, the region and the policy comprehend:*")
    return EngineError(text)
