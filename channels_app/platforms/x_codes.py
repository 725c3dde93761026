"""What X's errors mean: v1.1's numbers, v2's problem types, and for what has neither its documented sentences.

Facts: docs.x.com, "Response codes and errors", "Manage Direct Messages", "X API v1.1: error codes". A 403 has no
meaning of its own: it stands for the app's access level, the token's rights, a locked account and a customer who takes
no messages. What is not here is unknown, and shown in X's own words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

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
)

_AUTH = ("32", "89", "93", "99", "135", "215", "220", "oauth1-permissions", "unsupported-authentication")
#: 63 is the user that was asked for, 64 and 326 are ours; 476 is an account without the mark that the customer asks of
#: strangers (reported publicly).
_ACCOUNT = ("64", "68", "87", "92", "231", "251", "261", "326", "416", "453", "476", "client-forbidden")
_APP = ("not-authorized-for-field", "usage-capped", "credits")
_RECIPIENT = ("13", "17", "34", "50", "63", "108", "resource-not-found", "resource-unavailable")
_CONTENT = ("3", "25", "38", "44", "186", "187", "195", "323", "324", "325", "354", "407", "invalid-request")
_POLICY = ("226", "disallowed-resource")
_DOWN = ("130", "131", "connection", "operational-disconnect")

CODES: Mapping[str, type[SendFailed]] = {
    **dict.fromkeys(_AUTH, AuthFailed),
    **dict.fromkeys((*_ACCOUNT, *_APP), AccountProblem),
    **dict.fromkeys(("136", "150", "349"), Blocked),
    **dict.fromkeys(_RECIPIENT, InvalidRecipient),
    **dict.fromkeys(_CONTENT, InvalidContent),
    **dict.fromkeys(_DOWN, Unavailable),
    **dict.fromkeys(("88", "185", "rate-limit-exceeded"), Throttled),
    **dict.fromkeys(_POLICY, PolicyViolation),
}
#: Sentences that name who does not take our message. "You are not permitted to attach this media to a DM event" and
#: "This application is not allowed to access your direct messages" do not.
_NAMES_RECIPIENT = re.compile(
    r"permission to DM one or more"
    r"|(?:cannot|can't|not (?:permitted|allowed) to) (?:send (?:direct )?messages? to|message|DM) "
    r"(?:this|that|the|one or more|a) (?:user|person|participant|recipient)"
    r"|users? who (?:are|is) not following you|recipient is not following you|you have been blocked",
    re.IGNORECASE,
)
#: v2 says some of what v1.1 has numbers for in the same sentences, and with no number.
_SENTENCES: tuple[tuple[re.Pattern[str], type[SendFailed]], ...] = (
    (_NAMES_RECIPIENT, Blocked),
    (re.compile(r"looks like it might be automated", re.IGNORECASE), PolicyViolation),
    (re.compile(r"app permissions|not allowed to access or delete your direct messages", re.IGNORECASE), AuthFailed),
)


def meaning(codes: Iterable[str], words: Iterable[str]) -> tuple[str, type[SendFailed] | None]:
    """Return the code that says most, "" if X gave none, and its class, None if nothing of it is documented.

    `codes` are v1.1's numbers and v2's problem types, `words` its sentences.
    """
    listed = [code for code in codes if code and code != "about:blank"]
    known = next((code for code in listed if code in CODES), "")
    if known:
        return known, CODES[known]
    first = listed[0] if listed else ""
    said = list(words)
    return first, next((kind for pattern, kind in _SENTENCES if any(map(pattern.search, said))), None)


ADVICE: Mapping[str, Advice] = {
    "93": Advice(
        cause="The app, or the token, may not use direct messages.",
        fix="Set “Read, write and direct messages” in the app's settings, then make the access token anew.",
    ),
    "226": Advice(cause="X takes the message for automated.", fix="Wait, then answer in other words."),
    "326": Advice(cause="X has locked the account for now.", fix="Sign in to X as this account and unlock it."),
    "349": Advice(
        cause="This user takes no messages from the account.", fix="The customer must write or follow first."
    ),
    "476": Advice(
        cause="The customer takes requests from verified accounts alone.", fix="The customer must write first."
    ),
    "usage-capped": Advice(cause="The app's monthly allowance is used up.", fix="Buy more in X's developer portal."),
    "credits": Advice(cause="The app's credits are used up.", fix="Buy more in X's developer portal."),
    **dict.fromkeys(
        ("client-forbidden", "453"),
        Advice(
            cause="The app's access level does not cover this call.",
            fix="Check the project's plan in X's developer portal.",
        ),
    ),
    "oauth1-permissions": Advice(
        cause="The app, or the token, may not use direct messages.",
        fix="Set “Read, write and direct messages” in the app's settings, then make the access token anew.",
    ),
}
