"""What Graph's error codes mean: the code, or code/subcode where that says more.

Facts: developers.facebook.com, Messenger Platform "Common error codes" (18 Mar 2026) and the older "Send API: error
codes", Graph API "Handling errors" and "Rate limits". What is not here is unknown, and shown in Meta's own words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from channels_app.declarations import Advice
from channels_app.errors import (
    AccountProblem,
    AuthFailed,
    Blocked,
    InvalidContent,
    InvalidRecipient,
    PolicyViolation,
    SendFailed,
    Throttled,
    Unavailable,
    UnknownOutcome,
    WindowClosed,
)

#: 10 and 200 to 299 are permissions that the token lacks, unless a subcode says what else it is.
_AUTH = ("10", "101", "102", "104", "190", "2500", *map(str, range(200, 300)), "459", "464", "467")
#: Business Use Case limits have a code for each product.
_THROTTLED = ("4", "9", "17", "32", "341", "613", *map(str, range(80000, 80015)))
_CONTENT = ("100", "506", "1609005")
#: Not yet reviewed, not ours, or closed by its owner.
_ACCOUNT = ("3", "5", "21", "2200", "1/99", "2/2018344", "10/1893063", "100/2018048", "100/2534029", "100/2534037")
_REVIEW = ("200/2018021", "200/2018027", "200/2018028", "200/2534041")

CODES: Mapping[str, type[SendFailed]] = {
    **dict.fromkeys(_AUTH, AuthFailed),
    **dict.fromkeys(_THROTTLED, Throttled),
    **dict.fromkeys(("1", "2", "1200"), Unavailable),
    "1/1357046": UnknownOutcome,  # "the messages are all sent successfully, but the endpoint returns an error"
    **dict.fromkeys(("10/2018065", "10/2018278", "10/2534022"), WindowClosed),
    **dict.fromkeys(("551", "10/2018108", "200/1545041"), Blocked),
    **dict.fromkeys(("100/33", "100/2018001", "100/2018218", "100/2534014", "803"), InvalidRecipient),
    **dict.fromkeys(_CONTENT, InvalidContent),
    **dict.fromkeys(("368", "2022"), PolicyViolation),
    **dict.fromkeys((*_ACCOUNT, *_REVIEW), AccountProblem),
}
#: A subcode of seven digits has one meaning, whatever code it stands beside, or instead of.
_BY_SUBCODE = {sub: kind for code, kind in CODES.items() if (sub := code.partition("/")[2]) and len(sub) > len("1000")}
_GENERAL = ("10", "100", "200")
#: Where the number is a general one, Meta's documented sentences still say which of its meanings it has.
_WORDS: tuple[tuple[re.Pattern[str], type[SendFailed]], ...] = (
    (re.compile(r"outside of (?:the )?allowed window", re.IGNORECASE), WindowClosed),
    (re.compile(r"(?:isn't|is not) receiving messages from you", re.IGNORECASE), Blocked),
    (re.compile(r"appsecret_proof", re.IGNORECASE), AuthFailed),
)


def meaning(code: str, subcode: str, words: str, *, transient: bool) -> type[SendFailed] | None:
    """Return the class of an error, None if nothing of it is documented. `transient` is Graph's `is_transient`."""
    exact = CODES.get(f"{code}/{subcode}") or _BY_SUBCODE.get(subcode) or _BY_SUBCODE.get(code)
    if exact is not None:
        return exact
    by_words = next((kind for pattern, kind in _WORDS if pattern.search(words)), None)
    kind_of_error = (by_words if code in _GENERAL else None) or CODES.get(code)
    if transient and (kind_of_error is None or code == "100"):
        return Unavailable
    return kind_of_error


SCOPES = ("pages_messaging", "pages_manage_metadata")
NEW_TOKEN = "Make a new Page access token in the app dashboard (Messenger, Access tokens) and replace it here."  # noqa: S105 - advice
ADVICE: Mapping[str, Advice] = {
    "3": Advice(
        cause="The Meta app may not make this call.", fix="Add the product Messenger to the app in Meta's dashboard."
    ),
    "190": Advice(cause="The Page's access token has expired or was withdrawn.", fix=NEW_TOKEN),
    "200": Advice(
        cause="The token lacks a permission.",
        fix=f"It needs {' and '.join(SCOPES)}. {NEW_TOKEN}",
    ),
    **dict.fromkeys(
        ("200/2018021", "200/2018027", "200/2018028"),
        Advice(
            cause="The Meta app is not live or its permission not reviewed: it reaches only its own testers.",
            fix="Get pages_messaging reviewed and set the app live in Meta's dashboard.",
        ),
    ),
    **dict.fromkeys(
        ("10/2018065", "10/2018278", "10/2534022"),
        Advice(
            cause="The customer wrote more than 24 hours ago.",
            fix="Wait until the customer writes, or reach them otherwise.",
        ),
    ),
    **dict.fromkeys(
        ("551", "10/2018108", "200/1545041"),
        Advice(
            cause="The customer has blocked the Page or left Messenger.", fix="Reach the customer on another channel."
        ),
    ),
    "368": Advice(cause="Meta has restricted the Page.", fix="See the Page's support inbox, and appeal there."),
    "2200": Advice(
        cause="Meta called our address and did not get its challenge back.",
        fix="See that the address can be reached from outside, and that the verify token is the one shown here.",
    ),
}
