"""What each provider's code means, against a list written down from the providers' pages and not from the tables.

Sources: twilio.com/docs/api/errors/<code>; developers.facebook.com "Messenger Platform: Common error codes", "Send API:
error codes" and "Graph API: Handling errors", "Rate limits"; docs.x.com "Response codes and errors" and v1.1's list.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from channels_app import errors
from channels_app.errors import SendFailed
from channels_app.registry import channels
from channels_app.types import OutboundMessage, ReceiptReceived
from tests.channels_app.kit import channel_of
from tests.channels_app.providers.kit import ProviderApi, signed_form

AUTH, ACCOUNT, BLOCKED, POLICY = errors.AuthFailed, errors.AccountProblem, errors.Blocked, errors.PolicyViolation
RECIPIENT, CONTENT, THROTTLED = errors.InvalidRecipient, errors.InvalidContent, errors.Throttled
DOWN, WINDOW, OPTED_OUT, UNKNOWN = errors.Unavailable, errors.WindowClosed, errors.OptedOut, errors.UnknownOutcome
OF_THE_CUSTOMER = {BLOCKED, OPTED_OUT}

TWILIO: dict[str, type[SendFailed]] = {
    "14107": THROTTLED,  # message rate limit exceeded
    "20001": CONTENT,  # unknown parameters
    "20003": AUTH,  # authenticate
    "20005": ACCOUNT,  # account not active
    "20006": AUTH,  # access denied
    "20008": AUTH,  # resource not accessible with test credentials
    "20010": AUTH,  # denied by the account's permissions
    "20404": ACCOUNT,  # the requested resource was not found
    "20429": THROTTLED,  # too many requests
    "20500": DOWN,  # internal server error
    "20503": DOWN,  # service unavailable
    "21211": RECIPIENT,  # invalid To
    "21212": ACCOUNT,  # invalid From
    "21265": RECIPIENT,  # To is a short code
    "21268": RECIPIENT,  # To is a premium number
    "21408": ACCOUNT,  # permission for the region not enabled
    "21603": ACCOUNT,  # From is required
    "21604": RECIPIENT,  # To is required
    "21606": ACCOUNT,  # From is not a sender of this account
    "21608": ACCOUNT,  # a trial account reaches verified numbers only
    "21609": ACCOUNT,  # invalid StatusCallback
    "21610": OPTED_OUT,  # attempt to send to unsubscribed recipient
    "21611": THROTTLED,  # From has exceeded the maximum number of queued messages
    "21612": RECIPIENT,  # To is not reachable from this From
    "21614": RECIPIENT,  # To is not a mobile number
    "21617": CONTENT,  # more than 1,600 characters
    "21619": CONTENT,  # neither text nor media
    "21620": CONTENT,  # invalid media URL
    "21656": CONTENT,  # ContentVariables invalid
    "21659": ACCOUNT,  # From is not a Twilio number
    "21660": ACCOUNT,  # From is another account's
    "21703": ACCOUNT,  # the Messaging Service has no senders
    "21705": ACCOUNT,  # the Messaging Service is invalid
    "21730": DOWN,  # under maintenance, try again later
    "21910": ACCOUNT,  # From and To of different channels
    "30001": THROTTLED,  # queue overflow
    "30002": ACCOUNT,  # account suspended
    "30003": DOWN,  # handset unreachable
    "30004": BLOCKED,  # message blocked
    "30005": RECIPIENT,  # unknown handset
    "30006": RECIPIENT,  # landline
    "30007": POLICY,  # filtered
    "30034": ACCOUNT,  # unregistered
    "63001": AUTH,  # the channel could not authenticate the request
    "63002": ACCOUNT,  # the channel could not find the From address
    "63003": RECIPIENT,  # … the To address
    "63005": CONTENT,  # the channel did not accept the content
    "63006": CONTENT,  # could not format the content for the channel
    "63007": ACCOUNT,  # no channel with this From
    "63008": ACCOUNT,  # channel module misconfigured
    "63009": DOWN,  # channel provider returned an internal service error
    "63010": DOWN,  # internal Twilio error
    "63012": DOWN,  # channel provider returned an internal service error
    "63013": POLICY,  # violates the channel provider's policy
    "63014": BLOCKED,  # blocked by user action
    "63015": ACCOUNT,  # recipient has not joined the sandbox
    "63016": WINDOW,  # outside the allowed window
    "63017": THROTTLED,  # rate limit of the day
    "63018": THROTTLED,  # rate limit exceeded for the channel
    "63019": CONTENT,  # media failed to download
    "63020": ACCOUNT,  # Business Manager account error
    "63021": CONTENT,  # channel invalid content
    "63022": ACCOUNT,  # invalid certificate of the name
    "63024": RECIPIENT,  # invalid message recipient
    "63026": POLICY,
    "63027": CONTENT,  # template does not exist
    "63028": CONTENT,  # number of parameters does not match
    "63030": CONTENT,  # unsupported parameter
    "63031": RECIPIENT,  # same From and To
    "63032": POLICY,  # WhatsApp's limits on this user
    "63033": BLOCKED,  # recipient blocked to receive messages
    "63034": CONTENT,  # media exceeds the size
    "63038": THROTTLED,  # the account's messages of the day
    "63041": CONTENT,  # template paused
    "63049": POLICY,  # Meta chose not to deliver this marketing message
    "63051": ACCOUNT,  # the WhatsApp Business Account is restricted
    "63112": ACCOUNT,  # … disabled by Meta
}
META: dict[str, type[SendFailed]] = {
    "1": DOWN,
    "1/99": ACCOUNT,  # missing permissions can cause this
    "1/1357046": UNKNOWN,  # all sent, but the endpoint returns an error
    "2": DOWN,
    "3": ACCOUNT,  # the app has no capability for this call
    "4": THROTTLED,
    "9/2018352": THROTTLED,  # user is performing too many actions
    "10": AUTH,
    "10/1893063": ACCOUNT,
    "10/2018065": WINDOW,
    "10/2018108": BLOCKED,  # this person isn't receiving messages from you right now
    "10/2018278": WINDOW,
    "10/2534022": WINDOW,
    "17": THROTTLED,
    "32": THROTTLED,
    "100": CONTENT,
    "100/33": RECIPIENT,
    "100/2018001": RECIPIENT,  # no matching user found
    "100/2018008": CONTENT,  # failed to fetch the file
    "100/2018109": CONTENT,  # attachment too large
    "102": AUTH,
    "104": AUTH,
    "190": AUTH,
    "190/463": AUTH,
    "190/490": AUTH,
    "200": AUTH,
    "200/1545041": BLOCKED,
    "200/2018021": ACCOUNT,
    "200/2018027": ACCOUNT,  # only admins, developers, testers until reviewed
    "200/2018028": ACCOUNT,
    "299": AUTH,
    "341": THROTTLED,
    "368": POLICY,  # temporarily blocked for policy violations
    "551": BLOCKED,
    "551/1545041": BLOCKED,
    "613": THROTTLED,
    "1200": DOWN,  # temporary send message failure
    "2022": POLICY,  # disabled after a policy violation
    "2200": ACCOUNT,  # callback verification failed
    "80001": THROTTLED,
    "80002": THROTTLED,
    "80006": THROTTLED,
}
X: dict[str, type[SendFailed]] = {
    "17": RECIPIENT,  # no user matches
    "32": AUTH,
    "34": RECIPIENT,
    "38": CONTENT,  # parameter missing
    "44": CONTENT,
    "50": RECIPIENT,  # user not found
    "63": RECIPIENT,  # user has been suspended: the one that was asked for
    "64": ACCOUNT,  # your account is suspended
    "87": ACCOUNT,  # client is not permitted to perform this action
    "88": THROTTLED,
    "89": AUTH,
    "93": AUTH,  # not allowed to access direct messages
    "99": AUTH,
    "108": RECIPIENT,
    "130": DOWN,  # over capacity
    "131": DOWN,  # internal error
    "135": AUTH,
    "150": BLOCKED,  # not following you
    "187": CONTENT,
    "215": AUTH,
    "220": AUTH,
    "226": POLICY,  # looks automated
    "261": ACCOUNT,  # application cannot perform write actions
    "326": ACCOUNT,  # temporarily locked
    "349": BLOCKED,  # you cannot send messages to this user
    "354": CONTENT,  # text too long
    "416": ACCOUNT,  # suspended application
    "453": ACCOUNT,  # access level
    "476": ACCOUNT,  # sender is not verified to send message requests
    "client-forbidden": ACCOUNT,
    "credits": ACCOUNT,
    "disallowed-resource": POLICY,
    "invalid-request": CONTENT,
    "oauth1-permissions": AUTH,
    "resource-not-found": RECIPIENT,
    "unsupported-authentication": AUTH,
    "usage-capped": ACCOUNT,
}
LISTS = {"whatsapp": TWILIO, "messenger": META, "twitter": X}
ALL = [(kind, code, meant) for kind, codes in LISTS.items() for code, meant in codes.items()]


def body_of(kind: str, code: str) -> dict[str, Any]:
    """Return the documented error body of this provider."""
    first, _, second = code.partition("/")
    if kind == "whatsapp":
        return {"code": int(code), "message": "No.", "more_info": "", "status": 400}
    if kind == "messenger":
        return {"error": {"message": "No.", "code": int(first), **({"error_subcode": int(second)} if second else {})}}
    if code.isdigit():
        return {"errors": [{"code": int(code), "message": "No."}]}
    return {"title": "No", "detail": "No.", "type": f"https://api.twitter.com/2/problems/{code}", "status": 403}


def refused(api: ProviderApi, kind: str, body: object, status: int = 403) -> SendFailed:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    api.status, api.body = status, raw
    with pytest.raises(SendFailed) as refusal:
        channel_of(kind, api.http()).send(OutboundMessage(recipient="+15550001", text="hi", correlation="c"))
    return refusal.value


@pytest.mark.parametrize(("kind", "code", "meant"), ALL)
def test_a_code_means_the_same_as_an_answer_and_by_itself(
    api: ProviderApi, kind: str, code: str, meant: type[SendFailed]
) -> None:
    refusal = refused(api, kind, body_of(kind, code))
    assert (type(refusal), refusal.provider_code, refusal.detail[-3:]) == (meant, code, "No.")
    assert channels()[kind].meaning(code) is meant


@pytest.mark.parametrize("kind", LISTS)
def test_whoever_is_said_to_have_withdrawn_is_named_by_a_written_code(kind: str) -> None:
    """Suppression follows from these classes alone, so the table may hold none that the list does not."""
    assert {code for code, meant in channels()[kind].codes.items() if meant in OF_THE_CUSTOMER} <= {
        *(code for code, meant in LISTS[kind].items() if meant in OF_THE_CUSTOMER),
        "136",  # X: you have been blocked from the author
    }


@pytest.mark.parametrize("kind", LISTS)
def test_advice_is_given_for_codes_that_are_known(kind: str) -> None:
    channel = channels()[kind]
    assert [code for code in channel.advice if channel.meaning(code) is SendFailed] == []


@pytest.mark.parametrize("code", ["31415", "", "0", "abc", "63016x"])
@pytest.mark.parametrize("kind", LISTS)
def test_what_is_no_known_code_is_unknown(kind: str, code: str) -> None:
    assert channels()[kind].meaning(code) is SendFailed


def test_twilios_codes_come_as_text_too(api: ProviderApi) -> None:
    for code in ("63016", 63016, " 63016 "):
        assert type(refused(api, "whatsapp", {"code": code, "message": "No."}, 400)) is WINDOW


@pytest.mark.parametrize(("said", "code"), [("63016", "63016"), ("0", ""), (None, ""), ("", ""), ("new", "new")])
def test_a_callback_says_the_code_in_one_form(said: str | None, code: str) -> None:
    form = {"MessageSid": "SM" + "a" * 32, "AccountSid": "AC" + "0" * 32, "MessageStatus": "undelivered"}
    form |= {
        "From": "whatsapp:+34600000000",
        "To": "whatsapp:+15550001",
        **({} if said is None else {"ErrorCode": said}),
    }
    (event,) = channel_of("whatsapp").parse(signed_form(form))
    assert isinstance(event, ReceiptReceived)
    assert event.error_code == code


@pytest.mark.parametrize(
    ("error", "meant"),
    [
        ({"code": "10", "error_subcode": "2018278"}, WINDOW),
        ({"code": 31415, "is_transient": True}, DOWN),
        ({"code": 100, "is_transient": True}, DOWN),
        ({"code": 190, "is_transient": True}, AUTH),
        ({"code": 31415, "is_transient": False}, SendFailed),
        ({"code": 10, "message": "(#10) This message is sent outside of allowed window."}, WINDOW),
        ({"code": 10, "message": "This person isn't receiving messages from you right now."}, BLOCKED),
        ({"code": 100, "message": "Invalid appsecret_proof provided in the API argument"}, AUTH),
        ({"code": 100, "error_subcode": 0}, CONTENT),
        ({"code": 100, "error_subcode": 2018278}, WINDOW),
        ({"code": 1545041, "error_subcode": 1545041}, BLOCKED),
        ({"code": 2018001}, RECIPIENT),
        ({"code": 31415, "error_subcode": 33}, SendFailed),
    ],
)
def test_graph_says_it_in_other_ways_too(api: ProviderApi, error: dict[str, Any], meant: type[SendFailed]) -> None:
    assert type(refused(api, "messenger", {"error": error}, 400)) is meant


def problem(detail: str, kind: str = "about:blank") -> dict[str, Any]:
    return {"title": "Forbidden", "detail": detail, "type": kind, "status": 403}


@pytest.mark.parametrize(
    ("body", "meant"),
    [
        (problem("You do not have permission to DM one or more participants."), BLOCKED),
        (problem("You cannot send messages to this user."), BLOCKED),
        (problem("Forbidden"), ACCOUNT),
        (problem("You are not permitted to attach this media to a DM event."), ACCOUNT),
        (problem("This application is not allowed to access or delete your direct messages."), AUTH),
        (problem("Your client app is not configured with the appropriate oauth1 app permissions for this call."), AUTH),
        (problem("This request looks like it might be automated. Please try again later."), POLICY),
        (problem("Your account is suspended and is not permitted to access this feature."), ACCOUNT),
        (problem("You are not permitted to perform this action."), ACCOUNT),
        (problem("Sorry", "https://api.twitter.com/2/problems/not-authorized-for-resource"), SendFailed),
        ({"errors": [{"code": 31415, "message": "No."}]}, SendFailed),
        ({"errors": [{"code": "349", "message": "No."}]}, BLOCKED),
        ({"errors": [problem("No.", "https://api.twitter.com/2/problems/client-forbidden")]}, ACCOUNT),
        ({"errors": ["No."]}, ACCOUNT),
        (["No."], ACCOUNT),
        (b"<html>Forbidden</html>", ACCOUNT),
        (b"", ACCOUNT),
    ],
)
def test_a_403_of_x_is_the_customers_only_if_words_or_code_say_so(
    api: ProviderApi, body: object, meant: type[SendFailed]
) -> None:
    assert type(refused(api, "twitter", body)) is meant


@pytest.mark.parametrize("body", [b"<html>no</html>", b"", b"[]", b'"no"', b'{"error":"no"}', b"\xff"])
@pytest.mark.parametrize(
    ("status", "meant"), [(401, AUTH), (403, ACCOUNT), (404, ACCOUNT), (429, THROTTLED), (502, DOWN)]
)
@pytest.mark.parametrize("kind", LISTS)
def test_a_body_that_says_nothing_leaves_the_status(
    api: ProviderApi, kind: str, status: int, meant: type[SendFailed], body: bytes
) -> None:
    assert type(refused(api, kind, body, status)) is meant


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": "Sorry, that is not allowed"}, "Sorry, that is not allowed"),
        ({"error": "invalid_request", "error_description": "No such token"}, "No such token"),
    ],
)
def test_what_x_says_is_shown_wherever_it_stands(api: ProviderApi, body: dict[str, str], words: str) -> None:
    assert refused(api, "twitter", body).detail == words


def test_who_is_to_be_calm_waits(api: ProviderApi) -> None:
    assert type(refused(api, "twitter", b"", 420)) is THROTTLED


def test_every_number_of_the_tables_is_a_number_of_its_provider() -> None:
    shapes = {"whatsapp": r"\d{5}", "messenger": r"\d{1,7}(/\d{2,7})?", "twitter": r"\d{1,3}|[a-z0-9-]+"}
    wrong = [(k, code) for k, shape in shapes.items() for code in channels()[k].codes if not re.fullmatch(shape, code)]
    assert wrong == []
