"""What Twilio's error codes mean, in an answer, a status callback or a listed message alike.

Facts: twilio.com/docs/api/errors (the dictionary), "WhatsApp error code mapping"; the changelog of 10 July 2024 for the
codes that were split off 21211, 21212, 21606 and 21614. What is not here is unknown, and shown in Twilio's own words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from channels_app.declarations import Advice
from channels_app.errors import (
    AccountProblem,
    AuthFailed,
    Blocked,
    InvalidContent,
    InvalidRecipient,
    OptedOut,
    PolicyViolation,
    SendFailed,
    Throttled,
    Unavailable,
    WindowClosed,
)

_AUTH = (20003, 20006, 20008, 20010, *range(20101, 20108), 20151, 20157, 63001)
_THROTTLED = (14107, 20429, 21611, 30001, 30022, 30023, 30027, 63017, 63018, 63038)
_UNAVAILABLE = (20500, 20503, 20504, 21730, 30003, 30008, 30017, 30036, 30410, 30500)
_CHANNEL_UNAVAILABLE = (63009, 63010, 63011, 63012, 63023)
#: Whom the messenger does not take our messages for: only these, and 21610, say something of the customer's will.
_BLOCKED = (30004, 63014, 63033)
_RECIPIENT = (21201, 21211, 21214, 21217, 21265, 21266, 21268, 21604, 21612, 21614, 21616, 21635, 30005, 30006)
_CHANNEL_RECIPIENT = (63003, 63024, 63031, 63036)
_CONTENT = (20001, 20422, 21602, 21605, 21617, 21618, 21619, 21620, 21622, 21623, 21628, 21654, 21655, 21656, 21657)
_MORE_CONTENT = (21658, 30011, 30019, 63005, 63006, 63019, 63021, 63025, 63027, 63028, 63029, 63030, 63034, 63035)
_TEMPLATES = (63040, 63041, 63042)
_POLICY = (30007, 30038, 30039, 30450, 63013, 63026, 63032, 63049)
#: Twilio's account: suspended, on trial, without this country, or without what the request names.
_ACCOUNT = (10001, 10002, 20002, 20004, 20005, 20403, 20404, 20409, 21210, 21212, 21215, 21219, 21264, 21267, 21401)
_SENDER = (21408, 21601, 21603, 21606, 21607, 21608, 21609, 21621, 21659, 21660, 21661, 21701, 21703, 21704, 21705)
_REGISTRATION = (21910, 30002, 30010, 30012, 30016, 30018, 30024, 30032, 30033, 30034, 30035, 30037, 30044)
_CHANNEL_ACCOUNT = (63002, 63007, 63008, 63015, 63020, 63022, 63051, *range(63100, 63120))


def _all(codes: Iterable[int], kind: type[SendFailed]) -> dict[str, type[SendFailed]]:
    return dict.fromkeys(map(str, codes), kind)


CODES: Mapping[str, type[SendFailed]] = {
    **_all(_AUTH, AuthFailed),
    **_all(_THROTTLED, Throttled),
    **_all((*_UNAVAILABLE, *_CHANNEL_UNAVAILABLE), Unavailable),
    **_all((63016,), WindowClosed),
    **_all(_BLOCKED, Blocked),
    **_all((21610,), OptedOut),
    **_all((*_RECIPIENT, *_CHANNEL_RECIPIENT), InvalidRecipient),
    **_all((*_CONTENT, *_MORE_CONTENT, *_TEMPLATES), InvalidContent),
    **_all(_POLICY, PolicyViolation),
    **_all((*_ACCOUNT, *_SENDER, *_REGISTRATION, *_CHANNEL_ACCOUNT), AccountProblem),
}

_SENDERS = "See Messaging, Senders in Twilio's console."
ADVICE: Mapping[str, Advice] = {
    "20003": Advice(
        cause="The account SID and the auth token do not belong together, or the token was changed.",
        fix="Copy both from Twilio's console and replace them here.",
    ),
    "20404": Advice(
        cause="Twilio has nothing under the account SID or the id that we named.",
        fix="Copy the account SID from Twilio's console and replace it here.",
    ),
    "21408": Advice(
        cause="The Twilio account may not send to this country.",
        fix="Allow the country in Twilio's console: Messaging, Settings, Geo permissions.",
    ),
    "21608": Advice(
        cause="A trial account sends only to numbers that were verified.", fix="Upgrade the Twilio account."
    ),
    "21609": Advice(
        cause="Twilio does not take our address for status callbacks.",
        fix="Set PUBLIC_BASE_URL to an address that Twilio can reach.",
    ),
    "21610": Advice(cause="The customer said STOP.", fix="Nothing may be sent until the customer says START."),
    "63003": Advice(cause="WhatsApp knows no such number.", fix="Reach the customer on another channel."),
    "63007": Advice(
        cause="Twilio has no WhatsApp sender with this number.", fix="Check the number, and that its sender is online."
    ),
    "63008": Advice(cause="The WhatsApp sender is not set up completely at Twilio.", fix=_SENDERS),
    "63015": Advice(
        cause="The customer has not joined the WhatsApp sandbox, or three days are over.",
        fix="Let them send the join code to the sandbox's number again.",
    ),
    "63016": Advice(
        cause="The customer's last message is more than 24 hours old, so WhatsApp takes no free text.",
        fix="Wait until the customer writes, or send an approved template from Twilio.",
    ),
    "63018": Advice(
        cause="The sender is too fast for WhatsApp.",
        fix="Nothing: Parley waits and goes on, unless a later message has gone out already.",
    ),
    "63022": Advice(cause="WhatsApp does not accept the sender's certificate for its name.", fix=_SENDERS),
    "63024": Advice(cause="The recipient cannot get this message.", fix="Check the number; reach them otherwise."),
    "63051": Advice(
        cause="WhatsApp has restricted the business account.", fix="See WhatsApp Manager, and appeal there."
    ),
}
