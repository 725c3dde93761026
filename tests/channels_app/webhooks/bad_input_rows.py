"""The catalogue of bad inputs as data: what is sent to an account, by answer. The numbers are the catalogue's rows."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from channels_app.models import ChannelAccount
from tests.channels_app.webhooks.kit import (
    Post,
    message_post,
    page_post,
    path_of,
    said_on_page,
    signed,
    twilio,
    whatsapp_fields,
)

KINDS = ("twitter", "messenger", "whatsapp")


def unsigned(account: ChannelAccount, body: bytes = b"{}", *headers: tuple[str, str]) -> Post:
    return Post(path_of(account), (("Content-Type", "application/json"), *headers), (body,))


def text_of(text: Any) -> Callable[[ChannelAccount], Post]:
    return lambda account: page_post(account, {"text": text})


def raw(body: bytes) -> Callable[[ChannelAccount], Post]:
    return lambda account: signed(account, body)


def tampered(account: ChannelAccount) -> Post:
    post = message_post(account)
    return replace(post, chunks=(post.chunks[0].replace(b"{", b"{ ", 1),))


def spaced(account: ChannelAccount) -> Post:
    post = message_post(account)
    return replace(post, chunks=(post.chunks[0].replace(b"Body=hola", b"Body=hola+"),))


def forwarded(account: ChannelAccount) -> Post:
    """Sign for an address of the sender's choice, and say that the request came by it."""
    post = twilio(account, whatsapp_fields(account), base="https://evil.example")
    forged = (("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "evil.example"))
    return replace(post, headers=(*post.headers, *forged))


def signature(value: str) -> Callable[[ChannelAccount], Post]:
    def make(account: ChannelAccount) -> Post:
        names = {"twitter": "x-twitter-webhooks-signature", "whatsapp": "X-Twilio-Signature"}
        body = b"Body=hi" if account.kind == "whatsapp" else b"{}"
        kind = "x-www-form-urlencoded" if account.kind == "whatsapp" else "json"
        name = names.get(account.kind, "X-Hub-Signature-256")
        return Post(path_of(account), (("Content-Type", f"application/{kind}"), (name, value)), (body,))

    return make


def twice_signed(account: ChannelAccount) -> Post:
    post = message_post(account)
    return replace(post, headers=(*post.headers, post.headers[1]))


def legacy_only(account: ChannelAccount) -> Post:
    return unsigned(account, b"{}", ("X-Hub-Signature", "sha1=" + "0" * 40))


def for_another_page(account: ChannelAccount) -> Post:
    body = said_on_page(account, {})
    body["entry"][0]["id"] = "999"
    return signed(account, json.dumps(body).encode())


def twilio_shifted(account: ChannelAccount) -> Post:
    """Body=hola + From=… and Body=holaFrom… are signed alike: take the name of the next field into the value."""
    post = twilio(account, whatsapp_fields(account))
    shifted = post.chunks[0].replace(b"MessageSid=SM", b"MessageSidSM=")
    return replace(post, chunks=(shifted,))


def get(query: str) -> Callable[[ChannelAccount], Post]:
    return lambda account: Post(path_of(account), query=query, method="GET")


def deep(depth: int) -> bytes:
    return b'{"object":"page","entry":' + b"[" * depth + b"]" * depth + b"}"


def receipt(account: ChannelAccount) -> Post:
    item = {
        "sender": {"id": "8001"},
        "recipient": {"id": account.address},
        "delivery": {"mids": ["m_?"], "watermark": 5},
    }
    body = {"object": "page", "entry": [{"id": account.address, "messaging": [item]}]}
    return signed(account, json.dumps(body).encode())


def echo(account: ChannelAccount) -> Post:
    body = said_on_page(account, {"is_echo": True, "app_id": 1, "metadata": "ours"})
    item = body["entry"][0]["messaging"][0]
    item["sender"], item["recipient"] = item["recipient"], item["sender"]
    return signed(account, json.dumps(body).encode())


def stamped(stamp: Any) -> Callable[[ChannelAccount], Post]:
    def make(account: ChannelAccount) -> Post:
        body = said_on_page(account, {})
        body["entry"][0]["messaging"][0]["timestamp"] = stamp
        return signed(account, json.dumps(body).encode())

    return make


def many_fields(account: ChannelAccount) -> Post:
    return twilio(account, [(f"f{index}", "") for index in range(1_001)])


def typed(content_type: str) -> Callable[[ChannelAccount], Post]:
    return lambda account: twilio(account, whatsapp_fields(account), content_type=content_type)


Make = Callable[[ChannelAccount], Post]


@dataclass(frozen=True)
class Row:
    """One row: what is sent to an account of this kind, the answer's status and its word."""

    status: int
    word: str
    name: str
    kind: str
    make: Make


def rows(status: int, word: str, *arguments: tuple[str, str, Make]) -> list[Row]:
    return [Row(status, word, name, kind, make) for name, kind, make in arguments]


def at(path: str) -> Make:
    """Send a good message to another path; ID stands for the account's id, NEW for that of no account."""
    return lambda a: replace(message_post(a), path=path.replace("ID", str(a.id)).replace("NEW", str(uuid.uuid4())))


def by(method: str) -> Make:
    return lambda a: replace(message_post(a), method=method)


def to_host(host: str) -> Make:
    return lambda a: replace(message_post(a), host=("Host", host))


def gzipped(account: ChannelAccount) -> Post:
    post = message_post(account)
    return replace(post, headers=(*post.headers, ("Content-Encoding", "gzip")))


def bare(account: ChannelAccount) -> Post:
    return Post(path_of(account), (("Content-Type", "application/x-www-form-urlencoded"),))


def form(**changed: str) -> Make:
    return lambda a: twilio(a, whatsapp_fields(a, **changed))


def json_of_twilio(account: ChannelAccount) -> Post:
    return replace(twilio(account, [], content_type="application/json"), chunks=(b'{"a":1}',))


def new_thing(account: ChannelAccount) -> Post:
    item = {"sender": {"id": "8"}, "recipient": {"id": account.address}, "new_thing": {}}
    body = {"object": "page", "entry": [{"id": account.address, "messaging": [item]}]}
    return signed(account, json.dumps(body).encode())


_VERIFY = "hub.mode=subscribe&hub.verify_token={}&hub.challenge={}"

REFUSED = [
    *rows(
        401,
        "bad_signature",
        ("35 body that a CRC could have signed", "twitter", raw(b"null")),
        *((f"1 unsigned empty POST to {kind}", kind, bare) for kind in KINDS),
        *((f"19 signature beyond ASCII to {kind}", kind, signature("sha256=é☃" + "0" * 40)) for kind in KINDS),
        ("20 wrong digest of the right length to Meta", "messenger", signature("sha256=" + "0" * 64)),
        ("20 wrong digest of the right length to X", "twitter", signature("sha256=" + "A" * 43 + "=")),
        ("20 wrong digest of the right length to Twilio", "whatsapp", signature("A" * 27 + "=")),
        ("21 legacy SHA-1 only", "messenger", legacy_only),
        *((f"22 two signatures to {kind}", kind, twice_signed) for kind in KINDS),
        *((f"23 one space more to {kind}", kind, tampered) for kind in ("twitter", "messenger")),
        ("23 one space more to whatsapp", "whatsapp", spaced),
        ("28 signed for the address in forged headers", "whatsapp", forwarded),
        ("29 Twilio JSON without bodySHA256", "whatsapp", json_of_twilio),
    ),
    *rows(
        413,
        "too_large",
        ("3 body over 256 KiB", "twitter", raw(b"x" * (256 * 1024 + 1))),
        ("3 body over 3 MiB for Meta", "messenger", raw(b"x" * (3 * 1024 * 1024 + 1))),
    ),
    *rows(
        414,
        "address_too_long",
        ("9 address of 16 KB", "messenger", lambda a: replace(message_post(a), query="x" * 16_384)),
    ),
    *rows(
        405,
        "method",
        *((f"10 {verb}", "messenger", by(verb)) for verb in ("TRACE", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD")),
        ("10 GET where there is no handshake", "whatsapp", get("")),
    ),
    *rows(
        404,
        "not_found",
        ("11 unknown account", "messenger", at("/webhooks/messenger/NEW/")),
        ("11 account of another kind", "messenger", at("/webhooks/twitter/ID/")),
        ("11 unknown kind", "messenger", at("/webhooks/fax/ID/")),
        ("12 number", "messenger", at("/webhooks/messenger/1/")),
        ("12 no slash", "messenger", at("/webhooks/messenger/ID")),
        ("12 braces", "messenger", at("/webhooks/messenger/{ID}/")),
        ("12 more path", "messenger", at("/webhooks/messenger/ID/x/")),
        ("12 no path", "messenger", at("/webhooks/")),
        ("12 NUL", "messenger", at("/webhooks/messenger/\x00/")),
        ("12 script", "messenger", at("/webhooks/messenger/<script>/")),
    ),
    *rows(
        400,
        "bad_host",
        ("13 forged Host", "messenger", to_host("evil.example")),
        ("13 Host that is none", "messenger", to_host("a b\tc")),
    ),
    *rows(415, "encoding", ("15 gzip", "messenger", gzipped)),
    *rows(400, "charset", ("16 utf-7", "whatsapp", typed("application/x-www-form-urlencoded; charset=utf-7"))),
    *rows(400, "too_many_fields", ("17 1,001 form fields", "whatsapp", many_fields)),
    *rows(403, "bad_verify_token", ("33 wrong verify token", "messenger", get(_VERIFY.format("wrong", "123")))),
    *rows(
        400,
        "bad_handshake",
        ("34 challenge that is a script", "messenger", get(_VERIFY.format("verify-token", "<script>"))),
        ("35 crc_token that is an event", "twitter", get('crc_token={"for_user_id":"1"}')),
        ("35 crc_token too long", "twitter", get("crc_token=" + "a" * 129)),
    ),
]

QUARANTINED = rows(
    200,
    "quarantined",
    *((f"2 signed empty body to {kind}", kind, raw(b"")) for kind in ("twitter", "messenger")),
    ("2 signed empty form", "whatsapp", lambda a: twilio(a, [])),
    ("25 for another Page", "messenger", for_another_page),
    ("25 for another number", "whatsapp", form(To="whatsapp:+15550001111")),
    ("25 for another Twilio account", "whatsapp", form(AccountSid="AC" + "9" * 32)),
    ("27 shifted boundary", "whatsapp", twilio_shifted),
    ("37 broken JSON", "messenger", raw(b'{"object":"page","entry":[')),
    ("38 depth 2,000", "messenger", raw(deep(2_000))),
    ("38 depth 100,000", "messenger", raw(deep(100_000))),
    ("39 integer of 5,000 digits", "messenger", raw(b'{"object":"page","entry":' + b"1" * 5_000 + b"}")),
    ("40 NaN", "messenger", raw(b'{"object":"page","entry":[{"id":NaN}]}')),
    ("40 1e999", "messenger", raw(b'{"object":"page","entry":[{"id":1e999}]}')),
    ("41 duplicate keys", "messenger", raw(b'{"object":"page","object":"page","entry":[]}')),
    ("42 UTF-16", "messenger", raw('{"object":"page","entry":[]}'.encode("utf-16"))),
    ("42 byte order mark", "messenger", raw(b'\xef\xbb\xbf{"object":"page","entry":[]}')),
    ("45 top-level list", "messenger", raw(b"[]")),
    ("45 top-level null", "messenger", raw(b"null")),
    ("46 text is an object", "messenger", text_of({"a": 1})),
    ("46 no message id", "messenger", lambda a: page_post(a, {"mid": None})),
)

LITERAL = [
    "\u202etxt.exe" + "e" + "\u0301" * 500,
    "<img src=x onerror=alert(1)>",
    '=HYPERLINK("http://evil.example")\t@',
    "'); DROP TABLE x;-- {{7*7}} %s %(a)s",
]

ACCEPTED = rows(
    200,
    "accepted",
    ("48 message id of 10 KB", "messenger", lambda a: page_post(a, {"mid": "m_" + "x" * 10_240})),
    ("49 text of 1 MB", "messenger", text_of("a" * 1_000_000)),
    ("50 white space", "messenger", text_of(" \t\n\u2003")),
    ("51 bidi and zalgo", "messenger", text_of(LITERAL[0])),
    ("52 script in a text", "messenger", text_of(LITERAL[1])),
    ("52 script in a name", "whatsapp", form(ProfileName="<img src=x onerror=alert(1)>")),
    ("53 spreadsheet formula", "messenger", text_of(LITERAL[2])),
    ("54 line breaks and ANSI in a name", "whatsapp", form(ProfileName="a\r\nb\x1b[31m")),
    ("55 SQL, template, format", "messenger", text_of(LITERAL[3])),
    ("56 timestamp 1970", "messenger", stamped(0)),
    ("56 timestamp 9999", "messenger", stamped(253_402_300_799_000)),
    ("56 timestamp in seconds", "messenger", stamped(1_790_000_000)),
    ("56 timestamp beyond all", "messenger", stamped(10**18)),
    ("58 echo of our own send", "messenger", echo),
    ("60 receipt for an unknown id", "messenger", receipt),
)


def picture_at(url: str, number: int) -> Make:
    """Send a numbered message with a picture that lies at this address."""

    def make(account: ChannelAccount) -> Post:
        if account.kind == "whatsapp":
            fields = whatsapp_fields(account, Body="", NumMedia="1", MediaUrl0=url, MediaContentType0="image/jpeg")
            return twilio(account, [*fields[1:], ("MessageSid", f"SM{number:032}")])
        return page_post(
            account, {"mid": f"m_{number}", "text": None, "attachments": [{"type": "image", "payload": {"url": url}}]}
        )

    return make


#: Where nobody but this machine, or its cloud, can be. {} is the port of somebody who listens there.
INSIDE = {
    "62 cloud's metadata": "http://169.254.169.254:{}/latest/meta-data/",
    "62 this machine as a number": "http://2130706433:{}/",
    "62 this machine in hexadecimal": "http://0x7f.1:{}/",
    "62 this machine as IPv6": "http://[::ffff:127.0.0.1]:{}/",
    "62 by NAT64": "http://[64:ff9b::7f00:1]:{}/",
    "62 the provider's own network": "http://100.64.0.1:{}/",
    "63 a name": "http://localhost:{}/",
    "64 file": "file:///etc/passwd",
    "64 gopher": "gopher://127.0.0.1:{}/_x",
}

IGNORED = rows(
    200,
    "ignored",
    ("57 unknown event of Meta", "messenger", new_thing),
    ("57 unknown event of X", "twitter", raw(b'{"data":{"event_type":"new.thing","payload":{}}}')),
)

#: Rows that concern what Parley does not do, or not yet.
NOT_YET = {
    32: "There is no Telegram channel.",
    65: "No media is downloaded: agents read a line that names it, and rows 62 to 64 hold that nothing is fetched.",
    66: "As 65.",
    67: "As 65.",
    68: "As 65.",
    70: "One installation serves one organisation: nobody may see one conversation and not another.",
    76: "Signing in is Django's own, without a limit of tries.",
    77: "Nothing is exported in bulk.",
}
