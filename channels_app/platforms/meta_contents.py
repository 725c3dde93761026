"""What Messenger's messages hold beside their text: files, places, stickers, what is shared, and who sent an echo.

Sources: developers.facebook.com, "Webhook events: messages", "message_echoes", "messaging_referrals"; the like's ids
are not documented, people who got them report them (restfb issue 666).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from channels_app.platforms.contents import words_in
from channels_app.toolkit import payloads
from channels_app.toolkit.payloads import list_at, object_at, text_at
from channels_app.types import Part, PartKind

_KINDS = {
    **{name: PartKind(name) for name in ("image", "audio", "video", "file", "sticker", "location")},
    **dict.fromkeys(("fallback", "template", "share", "post", "ig_post", "reel", "ig_reel"), PartKind.LINK),
}
#: The thumb that is sent by the button beside the text, small, medium and large.
LIKES = frozenset(("369239263222822", "369239343222814", "369239383222810"))
LIKE = "👍"
#: The Page's own inbox, as echoes name it ("Handover protocol").
_APPS = {"263902037430900": "the Page's inbox"}
#: What a survey's scores are about, and their highest.
_SCORES = {
    "csat": ("satisfied", " of 5"),
    "nps": ("would recommend us", " of 10"),
    "ces": ("it was easy", " of 7"),
}
_ADDRESS = re.compile(r"(?:https?:)?//\S+|www\.\S+", re.IGNORECASE)


def likes(message: Any) -> str:
    """Return the thumb if the message is one, with nothing else in it."""
    attachments = _attachments(message)
    ids = {_sticker(message, raw) for raw in attachments or [{}]}
    return LIKE if ids and ids <= LIKES else ""


def parts_of(message: Any) -> Iterator[Part]:
    """Yield what is not text. A message in which nothing is known has one part that says so."""
    attachments, story = _attachments(message), object_at(message, "reply_to", "story")
    if story:
        yield Part(kind=PartKind.STORY, media_ref=text_at(story, "url"), detail="in reply to a story")
    yield from (_part(message, raw) for raw in attachments)
    if message.get("text") is None and not attachments and not story and "quick_reply" not in message:
        fields = {name: value for name, value in message.items() if name not in ("mid", "reply_to", "metadata")}
        yield Part(kind=PartKind.UNSUPPORTED, name=" · ".join(words_in(fields)))


def _part(message: Any, raw: Any) -> Part:
    name, payload = text_at(raw, "type"), object_at(raw, "payload")
    kind = PartKind.STICKER if _sticker(message, raw) else _KINDS.get(name, PartKind.UNSUPPORTED)
    address = next(filter(None, (text_at(payload, "url"), text_at(raw, "url"), text_at(raw, "URL"))), "")
    place, words = object_at(payload, "coordinates"), ""
    if bare := text_at(raw, "payload").strip():
        address, words = (address or bare, "") if _ADDRESS.fullmatch(bare) else (address, bare)
    titles = [text_at(payload, "title") or text_at(raw, "title"), words, *_other_words(kind, raw, address)]
    return Part(
        kind=kind,
        media_ref=address,
        name=" · ".join(dict.fromkeys(filter(None, titles))),
        latitude=payloads.number(place.get("lat")),
        longitude=payloads.number(place.get("long")),
        detail="" if name in _KINDS else name,
    )


def _other_words(kind: PartKind, raw: Any, address: str) -> list[str]:
    """Return what else there is to read in something shared, or in what we do not know."""
    if kind not in (PartKind.LINK, PartKind.UNSUPPORTED):
        return []
    return [words for words in words_in(raw) if words != address]


def _attachments(message: Any) -> list[Any]:
    single = object_at(message, "attachments")
    return [single] if single else list_at(message, "attachments")


def _sticker(message: Any, raw: Any) -> str:
    """Return the sticker's id: Meta has put it into the payload and into the message, as a number or as text."""
    sticker = object_at(raw, "payload").get("sticker_id") or message.get("sticker_id")
    return str(sticker) if isinstance(sticker, (int, str)) else ""


def app_of(message: Any) -> str:
    """Return which program wrote an echo: the Page's inbox has an id that is known, or none at all."""
    app = message.get("app_id")
    if not isinstance(app, (int, str)) or not str(app):
        return "the Page's inbox"
    return _APPS.get(str(app), f"app {app}")


def owner_changed(name: str, raw: Any) -> str:
    """Return in words what a handover event tells ("Webhook events: messaging_handovers")."""
    event = object_at(raw)
    new, before, asks = (_app(event.get(f"{role}_owner_app_id")) for role in ("new", "previous", "requested"))
    return {
        "request_thread_control": f"{asks} asks to answer a customer",
        "app_roles": "the roles of the Page's apps changed",
        "pass_thread_control": f"a customer was passed from {before} to {new}",
    }.get(name, f"{new} took a customer over from {before}")


def _app(app: Any) -> str:
    return _APPS.get(str(app), f"app {app}") if app else "nobody"


def feedback(raw: Any) -> tuple[tuple[str, str], ...]:
    """Return what a customer answered to a survey, or thinks of one answer, as (question, answer) pairs.

    Sources: "Customer Feedback Template", "Webhook events: response_feedback".
    """
    if text := text_at(raw, "feedback"):
        return (("", text),)
    answers: list[tuple[str, str]] = []
    for screen in list_at(raw, "feedback_screens"):
        for name, question in object_at(screen, "questions").items():
            label, most = _SCORES.get(text_at(question, "type"), (name, ""))
            score = object_at(question).get("payload")
            if isinstance(score, (str, int)) and str(score).strip():
                answers.append((label if most else "", f"{score}{most}"))
            answers.append(("", text_at(question, "follow_up", "payload")))
    return tuple(pair for pair in answers if pair[1].strip())
