"""What went wrong, in words for whoever can mend it: what happened, the likely cause, what to do, and what then."""

from __future__ import annotations

from collections.abc import Mapping

from channels_app.declarations import Advice
from channels_app.registry import channels
from channels_app.types import Struct


class Explanation(Struct, frozen=True, kw_only=True):
    """`whose` says in whose hands it is. `code` is the provider's own, `words` are its own words."""

    happened: str
    cause: str
    fix: str
    again: str
    whose: str
    code: str = ""
    words: str = ""


class _Known(Struct, frozen=True, kw_only=True):
    happened: str
    cause: str
    fix: str
    again: str = "Then press “Retry delivery” on the failed messages."
    whose: str = "yours"


_UNKNOWN = _Known(
    happened="The messenger refused.",
    cause="It says so with a code that Parley has no words for.",
    fix="Look the code up in the messenger's documentation.",
    whose="not known",
)
#: By the code of errors.py and of connect_bridge/connect/gateway.py; the channel's own `advice` says more where it can.
KNOWN: Mapping[str, _Known] = {
    "auth": _Known(
        happened="The messenger refuses our credentials.",
        cause="A token has expired or was withdrawn, or a permission was taken away.",
        fix="Replace the credentials on the account's page; Parley tries them before it drops the old ones.",
    ),
    "account": _Known(
        happened="The messenger does not let the account send.",
        cause="The account is restricted, unpaid, or set up differently than Parley believes.",
        fix="See the messenger's console, then run the checks on the account's page.",
    ),
    "window_closed": _Known(
        happened="The messenger takes no free text to this customer now.",
        cause="The customer's last message is too long ago.",
        fix="Wait until the customer writes, or reach them otherwise.",
        again="When the customer has written, press “Retry delivery”.",
        whose="nobody's: it is the messenger's rule",
    ),
    "blocked": _Known(
        happened="The customer cannot be reached on this messenger.",
        cause="They have blocked the account, or left the messenger.",
        fix="Reach the customer on another channel.",
        again="Trying again helps only if the customer lifts the block.",
        whose="the customer's",
    ),
    "opted_out": _Known(
        happened="Nothing may be sent to this customer.",
        cause="They said STOP.",
        fix="Nothing, until the customer says START.",
        again="Do not try again.",
        whose="the customer's",
    ),
    "invalid_recipient": _Known(
        happened="The messenger knows nobody by this id.",
        cause="The number or id is wrong, was given up, or cannot be reached by this account.",
        fix="Reach the customer on another channel.",
        whose="nobody's",
    ),
    "invalid_content": _Known(
        happened="The messenger refuses this message.",
        cause="Something in the message is not allowed on this messenger.",
        fix="Let the agent write it differently.",
        again="As it stands it will be refused again.",
    ),
    "policy": _Known(
        happened="The messenger's rules forbid this message.",
        cause="It was taken for spam or advertising, or the account has a restriction.",
        fix="See the messenger's console for a restriction; write differently.",
    ),
    "throttled": _Known(
        happened="The messenger takes no more for now.",
        cause="The account sent more than it may in this time.",
        fix="Nothing: Parley waits as long as the messenger asks. If daily, ask the messenger for a higher limit.",
        again="What was given up meanwhile can be retried later.",
        whose="the messenger's",
    ),
    "unavailable": _Known(
        happened="The messenger did not answer.",
        cause="It is down, or Parley cannot reach it.",
        fix="Look at the messenger's status page, and at Parley's way out to the internet.",
        again="Parley tries again by itself for a quarter of an hour; then press “Retry delivery”.",
        whose="the messenger's, most likely",
    ),
    "unknown_outcome": _Known(
        happened="Nobody knows whether this arrived.",
        cause="The connection broke before the messenger answered.",
        fix="Ask the customer, or let Parley send it again and risk that they get it twice.",
        whose="nobody's",
    ),
    "earlier_part": _Known(
        happened="This part was not sent.",
        cause="An earlier part of the same message failed.",
        fix="Mend what made the earlier part fail.",
    ),
    "bad_signature": _Known(
        happened="Requests come to our address whose signature does not match.",
        cause="The secret that signs them was changed at the messenger, or is another one than is stored here. "
        "With Twilio also: the address that it calls is not to the letter the one shown here.",
        fix="Copy the secret from the messenger's console and replace it here.",
        again="What was turned away comes again by itself, or is fetched by asking the messenger.",
    ),
    "bad_verify_token": _Known(
        happened="The messenger checked our address with another verify token.",
        cause="The token in the messenger's console is not the one shown here.",
        fix="Copy the verify token from the step Webhook into the messenger's console.",
        again="Then let the messenger check the address again.",
    ),
    "bad_handshake": _Known(
        happened="Somebody checked our address in a way that the messenger does not.",
        cause="A person opened it in a browser, or the messenger has changed its check.",
        fix="Nothing, if it was you.",
        again="",
        whose="not known",
    ),
    "connect_set_up": _Known(
        happened="Amazon Connect does not start a chat as things are set up.",
        cause="The instance or the contact flow is not there, not published or in another region; an attribute is not "
        "allowed; or Parley's AWS credentials have expired, are unknown, or lack a right.",
        fix="Check both ids in the step Route, AWS_REGION and the role's rights; `doctor --online` says which it is.",
        again="Messages wait, however long; they go on by themselves once Connect takes them.",
    ),
    "connect_refused": _Known(
        happened="Amazon Connect lets Parley into no chat.",
        cause="The chat has ended or its token with it: another is started. If that lasts: the participant service "
        "that is asked is not that of the instance's region, or the flow ends every chat at once.",
        fix="If it lasts, check AWS_REGION, AWS_ENDPOINT_URL_CONNECTPARTICIPANT and the beginning of the flow.",
        again="Messages wait; they go on by themselves once Connect takes them.",
    ),
    "connect_unclear": _Known(
        happened="Amazon Connect refuses, with an answer that is not documented.",
        cause="Something in between, such as a proxy or a firewall, answers in its place; or Connect has changed.",
        fix="Look at what it said, at the way out to Amazon, and at the AWS health page.",
        again="Messages wait; they go on by themselves once Connect takes them.",
        whose="not known",
    ),
    "connect_no_way": _Known(
        happened="Parley does not get through to Amazon Connect.",
        cause="The name is not known, the proxy lets nothing through, or a certificate is not trusted.",
        fix="Check AWS_REGION, DNS, the firewall, HTTPS_PROXY, NO_PROXY and AWS_CA_BUNDLE; `doctor` shows what counts.",
        again="Messages wait; they go on by themselves.",
    ),
    "connect_invalid": _Known(
        happened="Amazon Connect does not take this message.",
        cause="What it holds breaks one of Connect's rules: its length, or its characters.",
        fix="Tell the agent by another way what it says; its text is in the list of messages.",
        again="Later messages went on. `replay relay`, or “Relay to Amazon Connect again”, tries it once more.",
    ),
    "connect_not_passed": _Known(
        happened="Amazon Connect took this message and passed it on to nobody.",
        cause="The redaction or the message processor of the contact flow rejected it, or failed on it.",
        fix="Look at the log of the processor's Lambda function; tell the agent by another way what it says.",
        again="Later messages went on. `replay relay`, or “Relay to Amazon Connect again”, tries it once more.",
    ),
    "connect_quota": _Known(
        happened="Amazon Connect takes no more chats.",
        cause="As many chats are open as the instance may have.",
        fix="Ask AWS for a higher quota, or let agents end chats.",
        again="Messages wait; they go on by themselves.",
    ),
    "connect_throttled": _Known(
        happened="Amazon Connect takes no more calls for now.",
        cause="More messages come in than the instance may take in a second.",
        fix="Nothing: Parley waits. If it is daily, ask AWS for a higher quota.",
        again="Messages wait; they go on by themselves.",
        whose="Amazon's",
    ),
    "connect_unreachable": _Known(
        happened="Amazon Connect did not answer.",
        cause="It is down in this region, or Parley cannot reach it.",
        fix="Look at the AWS health page, and at Parley's way out to the internet.",
        again="Messages wait; they go on by themselves.",
        whose="Amazon's, most likely",
    ),
}


def explain(code: str, *, kind: str = "", provider_code: str = "", words: str = "") -> Explanation:
    """Explain an error of the vocabulary. The channel's own advice, by the provider's code, comes first."""
    known = KNOWN.get(code, _UNKNOWN)
    own = _own(kind, provider_code)
    return Explanation(
        happened=known.happened,
        cause=own.cause if own else known.cause,
        fix=own.fix if own else known.fix,
        again=known.again,
        whose=known.whose,
        code=provider_code,
        words=words,
    )


def _own(kind: str, code: str) -> Advice | None:
    channel = channels().get(kind)
    if channel is None:
        return None
    return channel.advice.get(code) or channel.advice.get(code.partition("/")[0])
