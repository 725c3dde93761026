"""Comprehend and Lex, asked by real boto3 clients. Behind them are word lists; these tests ask for little sense."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

if TYPE_CHECKING:
    from conftest import RunningWorld


@pytest.fixture
def comprehend(aws: RunningWorld) -> Any:
    return aws.client("comprehend", parameter_validation=False)


@pytest.mark.parametrize(
    ("text", "language", "sentiment"),
    [
        ("I love this, thank you so much!", "en", "POSITIVE"),
        ("thanks", "en", "POSITIVE"),
        ("This is terrible and I am angry.", "en", "NEGATIVE"),
        ("Where is my order?", "en", "NEUTRAL"),
        ("The product is great, but the delivery was horrible!", "en", "MIXED"),
        ("Das ist furchtbar.", "de", "NEUTRAL"),
    ],
)
def test_sentiment_is_the_highest_of_four_scores_that_add_up(
    comprehend: Any, text: str, language: str, sentiment: str
) -> None:
    result = comprehend.detect_sentiment(Text=text, LanguageCode=language)

    scores = result["SentimentScore"]
    assert result["Sentiment"] == sentiment == max(scores, key=scores.get).upper()
    assert sum(scores.values()) == pytest.approx(1)
    assert set(scores) == {"Positive", "Negative", "Neutral", "Mixed"}


def test_a_batch_scores_what_it_can_and_names_the_rest(aws: RunningWorld, comprehend: Any) -> None:
    answer = comprehend.batch_detect_sentiment(TextList=["I love it", "ä" * 2561, "ä" * 2560], LanguageCode="en")

    assert [result["Index"] for result in answer["ResultList"]] == [0, 2]
    [error] = answer["ErrorList"]
    assert (error["Index"], error["ErrorCode"]) == (1, "TEXT_SIZE_LIMIT_EXCEEDED")
    assert aws.lines("comprehend.BatchDetectSentiment")[0]["engine"] == "lexicon"


@pytest.mark.parametrize(
    ("operation", "request_", "code"),
    [
        ("detect_sentiment", {"Text": "ä" * 2561, "LanguageCode": "en"}, "TextSizeLimitExceededException"),
        ("detect_sentiment", {"Text": "hi", "LanguageCode": "tlh"}, "UnsupportedLanguageException"),
        ("detect_sentiment", {"Text": "", "LanguageCode": "en"}, "InvalidRequestException"),
        ("detect_sentiment", {"Text": "hi"}, "InvalidRequestException"),
        ("batch_detect_sentiment", {"TextList": ["x"] * 26, "LanguageCode": "en"}, "BatchSizeLimitExceededException"),
        ("batch_detect_sentiment", {"TextList": [], "LanguageCode": "en"}, "InvalidRequestException"),
        ("detect_dominant_language", {"Text": "too short"}, "InvalidRequestException"),
    ],
)
def test_comprehends_refusals(
    aws: RunningWorld, comprehend: Any, operation: str, request_: dict[str, Any], code: str
) -> None:
    assert aws.refused(getattr(comprehend, operation), **request_) == (code, 400)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Where is my order? I have been waiting for it.", "en"),
        ("Ich warte auf mein Paket und es ist nicht da.", "de"),
        ("¿Dónde está mi pedido? No lo encuentro en la casa.", "es"),
        ("注文した商品がまだ届いていないのですが、いつ届きますか。", "ja"),
    ],
)
def test_the_dominant_language_comes_first(comprehend: Any, text: str, language: str) -> None:
    assert comprehend.detect_dominant_language(Text=text)["Languages"][0]["LanguageCode"] == language


def test_other_operations_and_the_newer_protocol_are_refused_clearly(aws: RunningWorld, comprehend: Any) -> None:
    unknown = aws.refused(comprehend.detect_entities, Text="hi", LanguageCode="en")
    cbor = requests.post(f"{aws.url}/service/Comprehend_20171127/operation/DetectSentiment", timeout=20)

    assert unknown == ("UnknownOperationException", 404)
    assert "JSON protocol" in cbor.json()["Message"]


@pytest.fixture
def lex(aws: RunningWorld) -> Any:
    return aws.client("lexv2-runtime", parameter_validation=False)


BOT = {"botId": "ABCDEFGHIJ", "botAliasId": "TSTALIASID", "localeId": "en_US"}


def test_lex_answers_and_keeps_the_sessions_attributes(lex: Any) -> None:
    state = {"sessionAttributes": {"channel": "twitter"}}
    lex.recognize_text(**BOT, sessionId="jane", text="hello", sessionState=state)
    recognized = lex.recognize_text(**BOT, sessionId="jane", text="I want to talk to a human")

    assert recognized["messages"][0]["contentType"] == "PlainText"
    assert recognized["sessionState"]["intent"]["name"] == "TalkToAgent"
    assert recognized["sessionState"]["sessionAttributes"] == {"channel": "twitter"}
    assert recognized["interpretations"][0]["nluConfidence"]["score"] > 0.9
    fallback = lex.recognize_text(**BOT, sessionId="joe", text="qwertz")
    assert fallback["sessionState"]["intent"]["name"] == "FallbackIntent"


@pytest.mark.parametrize(
    "change", [{"text": "x" * 1025}, {"text": ""}, {"sessionId": "+4912345"}, {"sessionId": "x"}, {"botId": "short"}]
)
def test_lex_refuses_what_its_model_forbids(aws: RunningWorld, lex: Any, change: dict[str, str]) -> None:
    request = {**BOT, "sessionId": "jane", "text": "hello"} | change

    assert aws.refused(lex.recognize_text, **request) == ("ValidationException", 400)
