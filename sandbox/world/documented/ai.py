"""Amazon Comprehend and Amazon Lex. Sources: their API References and botocore's service models."""

from __future__ import annotations

from functools import partial

from sandbox.world.documented import Evidence, Rule, kinder, same

TESTS = "tests/sandbox/test_comprehend_and_lex.py::"
REFUSALS = f"{TESTS}test_comprehends_refusals"


_same = partial(same, evidence=Evidence.MODEL)

RULES: tuple[Rule, ...] = (
    _same("DetectSentiment", "5,120 bytes, not empty: 400", "API Reference, DetectSentiment", REFUSALS),
    _same("BatchDetectSentiment", "25 texts: 400 BatchSizeLimitExceededException", "API Reference", REFUSALS),
    _same(
        "BatchDetectSentiment",
        "A text that is too long is in ErrorList, with 200 for the others",
        "API Reference, BatchDetectSentiment",
        f"{TESTS}test_a_batch_scores_what_it_can_and_names_the_rest",
    ),
    _same(
        "DetectDominantLanguage", "Not under 20 characters: 400", "API Reference", REFUSALS, evidence=Evidence.DOCUMENT
    ),
    _same("every call", "Another language: 400 UnsupportedLanguageException", "API Reference", REFUSALS),
    kinder(
        "every call",
        "Above the account's rate: 400 or 429 ThrottlingException, TooManyRequestsException",
        "developer guide, quotas",
        "rates of the developer guide of 2022; the present ones may be other",
    ),
    _same(
        "RecognizeText",
        "1 to 1,024 characters; sessionId without +; botId of ten characters",
        "Lex V2 API Reference",
        f"{TESTS}test_lex_refuses_what_its_model_forbids",
    ),
    kinder(
        "RecognizeText",
        "A bot, alias or locale that does not exist: 404",
        "Lex V2 API Reference",
        "each id is the same small bot",
    ),
    kinder(
        "RecognizeText", "A session ends after its time to live", "Lex V2 API Reference", "sessions last as the world"
    ),
)
