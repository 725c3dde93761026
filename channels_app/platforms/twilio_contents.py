"""What Twilio's WhatsApp forms hold: who wrote, and everything beside the text.

Sources: twilio.com/docs, "Messaging webhook request", "WhatsApp business-scoped user IDs", "WhatsApp Flows". What no
page names is found by its name and shown in the provider's own words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from channels_app.errors import Unusable
from channels_app.platforms.contents import answers_in
from channels_app.toolkit.payloads import number
from channels_app.toolkit.vcards import is_card, read_card
from channels_app.types import Alias, AliasType, Part, PartKind, Sender

PREFIX = "whatsapp:"
PHONE = re.compile(r"\+[1-9][0-9]{5,14}")
#: As Twilio writes it in From, with a plus, and in WaId, without.
_NUMBER = re.compile(r"\+?([1-9][0-9]{5,14})")
_BSUID = re.compile(r"[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128}")
#: Which field holds what kind of id, in what form.
_NAMED = {
    "ExternalUserId": (AliasType.BSUID, re.compile(r"[A-Z]{2}\.[A-Za-z0-9]{1,128}")),
    "ParentExternalUserId": (AliasType.PARENT_BSUID, re.compile(r"[A-Z]{2}\.ENT\.[A-Za-z0-9]{1,128}")),
}
_MEDIA = {
    "image": PartKind.IMAGE,
    "audio": PartKind.AUDIO,
    "video": PartKind.VIDEO,
    "sticker": PartKind.STICKER,
    "contacts": PartKind.CONTACT,
    "document": PartKind.FILE,
}
#: A Flow's answers, by the names that Twilio has given them.
_FORMS = ("FlowData", "InteractiveData", "FlowResponse")
#: Values of these fields with which no form came. One that asked for nothing has a token at least.
_NO_FORM = ("", "{}", "[]", "null")
#: Fields of content that we have no reader for begin like this.
_MORE = re.compile(r"(?:Order|Product|Catalog|Contact|Poll|Event|List|Button|Interactive|Flow|Vcard|Reaction)\w*")
_READ = frozenset((*_FORMS, "ButtonText", "ButtonPayload", "ListTitle", "ListId"))
_WITHOUT_MORE = ("text", "button", "interactive")


def sender_of(form: Mapping[str, str], address: str) -> Sender:
    """Return the customer behind a From or To: by number if there is one, else by business-scoped user id.

    Raises Unusable if there is neither. An id that is not in its documented form is nobody's: two numbers that came
    with the same one are two people.
    """
    who = address.removeprefix(PREFIX)
    named = {name: form.get(name, "").removeprefix(PREFIX) for name in _NAMED}
    known = {_NAMED[name][0]: value for name, value in named.items() if _NAMED[name][1].fullmatch(value)}
    ignored = [name for name, value in named.items() if value and _NAMED[name][0] not in known]
    number_of = _NUMBER.fullmatch(who) or _NUMBER.fullmatch(form.get("WaId", ""))
    phone = f"+{number_of[1]}" if number_of else ""
    user = who if _BSUID.fullmatch(who) else known.get(AliasType.BSUID, "")
    if not phone and not user:
        raise Unusable("neither a phone number nor a user id")
    username = form.get("ProfileUsername", "")
    aliases = {AliasType.PHONE: phone, **known, AliasType.BSUID: user, AliasType.USERNAME: username}
    return Sender(
        external_id=phone or user,
        aliases=tuple(Alias(type=name, value=value) for name, value in aliases.items() if value),
        display_name=form.get("ProfileName", ""),
        handle=username,
        ignored=tuple(ignored),
    )


def referral_of(form: Mapping[str, str]) -> str:
    """Return what led the customer here: the ad's own words and address, else its id."""
    parts = [form.get(f"Referral{name}", "") for name in ("Headline", "Body", "SourceUrl")]
    source, clicked = form.get("ReferralSourceId", ""), form.get("ReferralCtwaClid") or form.get("ReferralSourceType")
    return " · ".join(filter(None, parts)) or (f"ad {source}" if source else "an ad" if clicked else "")


def parts_of(form: Mapping[str, str]) -> Iterator[Part]:
    count, kind = form.get("NumMedia", "0"), form.get("MessageType", "text")
    for index in range(int(count) if count.isascii() and count.isdigit() and len(count) < len("100") else 0):
        mime = form.get(f"MediaContentType{index}", "")
        yield Part(kind=_media_kind(mime, kind), media_ref=form.get(f"MediaUrl{index}", ""), mime=mime)
    if "Latitude" in form:
        yield Part(
            kind=PartKind.LOCATION,
            latitude=number(form["Latitude"]),
            longitude=number(form.get("Longitude")),
            name=form.get("Label", ""),
            caption=form.get("Address", ""),
        )
    yield from _cards(form)
    answers = [pair for name in _FORMS for pair in answers_in(form.get(name, ""))]
    if answers or any(form.get(name, "").strip() not in _NO_FORM for name in _FORMS):
        yield Part(kind=PartKind.FORM, answers=tuple(dict.fromkeys(answers)))
    elif count == "0" and "Latitude" not in form:
        yield from _unknown(form, kind)


def reaction_in(form: Mapping[str, str]) -> str | None:
    """Return the emoji, "" where it was taken back, None if this is no reaction.

    Twilio documents none; where a message says that it is one, it asks for nothing.
    """
    if form.get("MessageType") != "reaction":
        return None
    return form.get("ReactionEmoji") or form.get("Body", "")


def _cards(form: Mapping[str, str]) -> Iterator[Part]:
    """Yield the contact cards that are written into a field, instead of lying at an address."""
    for name, value in form.items():
        if name != "Body" and is_card(value):
            whose, numbers = read_card(value)
            yield Part(kind=PartKind.CONTACT, name=whose, detail=numbers)


def _unknown(form: Mapping[str, str], kind: str) -> Iterator[Part]:
    """Yield what a message without file or place has to show beside its text: what the provider tells of it."""
    more = {name: text for name, text in form.items() if _MORE.fullmatch(name) and name not in _READ}
    pairs = tuple((question or name, answer) for name, text in more.items() for question, answer in answers_in(text))
    picked = any(form.get(name) for name in _READ)
    plain, words = kind in _WITHOUT_MORE, bool(form.get("Body"))
    if any(map(is_card, more.values())) or (plain and words) or (not pairs and (plain or picked or words)):
        return
    yield Part(kind=PartKind.ORDER if kind == "order" else PartKind.UNSUPPORTED, detail=kind, answers=pairs)


def _media_kind(mime: str, message_type: str) -> PartKind:
    """WhatsApp records voice messages as Ogg, which nobody sends as a file; contact cards come as vCards."""
    if "ogg" in mime:
        return PartKind.VOICE
    if "vcard" in mime:
        return PartKind.CONTACT
    return _MEDIA.get(message_type) or _MEDIA.get(mime.partition("/")[0], PartKind.FILE)
