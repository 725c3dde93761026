"""What X's direct messages hold: plain text again, files, links, places, and who wrote.

X escapes `&`, `<` and `>` in what it hands out, once: a customer who types `&lt;` arrives as `&amp;lt;`. Sources:
docs.x.com, "Data dictionary"; public reports of bridges that showed `&amp;` (Twidere-Android issue 653).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from channels_app.platforms.contents import words_in
from channels_app.toolkit import payloads
from channels_app.toolkit.payloads import list_at, object_at, text_at
from channels_app.types import Part, PartKind, Sender

_MEDIA = {"photo": PartKind.IMAGE, "animated_gif": PartKind.IMAGE, "video": PartKind.VIDEO}
_ESCAPED = re.compile("&(amp|lt|gt);")
_PLAIN = {"amp": "&", "lt": "<", "gt": ">"}


def plain(text: str) -> str:
    """Return a text as it was typed: exactly these three escapes are undone, each once."""
    return _ESCAPED.sub(lambda match: _PLAIN[match[1]], text)


def sender_of(user_id: str, users: dict[str, Any]) -> Sender:
    """Account Activity has the profile itself under the id, X Activity one level down, with other names."""
    profile = object_at(users, user_id, "data") or object_at(users, user_id)
    picture = text_at(profile, "profile_image_url_https") or text_at(profile, "profile_image_url")
    handle = text_at(profile, "screen_name") or text_at(profile, "username")
    name = plain(text_at(profile, "name"))
    return Sender(external_id=user_id, display_name=name, handle=handle, picture_url=plain(picture))


def own_words(data: Any) -> str:
    """Return the text without the link to its own attachment, which X puts at the end."""
    text, link = text_at(data, "text"), text_at(data, "attachment", "media", "url")
    return plain(text.removesuffix(link).rstrip() if link else text)


def with_links(data: Any) -> str:
    """Return the text with the links that were typed, not those that X made of them."""
    text = own_words(data)
    for link in list_at(data, "entities", "urls"):
        short, long = plain(text_at(link, "url")), plain(text_at(link, "expanded_url"))
        text = text.replace(short, long) if short and long else text
    return text


def parts_of(data: Any) -> Iterator[Part]:
    """Yield all that is not text, links first."""
    attachment = object_at(data, "attachment")
    own, kind = text_at(attachment, "media", "url"), text_at(attachment, "type")
    media = object_at(attachment, "media")
    for link in list_at(data, "entities", "urls"):
        if text_at(link, "url") != own:
            yield Part(kind=PartKind.LINK, media_ref=plain(text_at(link, "expanded_url") or text_at(link, "url")))
    if kind == "location":
        yield _place(object_at(attachment, "location"))
    elif text_at(media, "type") in _MEDIA:
        yield _file(media)
    elif attachment:
        name = " · ".join(plain(words) for words in words_in(attachment))
        yield Part(kind=PartKind.UNSUPPORTED, name=name, detail=text_at(media, "type") or kind)
    elif text_at(data, "attachment"):
        yield Part(kind=PartKind.UNSUPPORTED, name=plain(text_at(data, "attachment")))


def _place(place: Any) -> Part:
    at = list_at(place, "shared_coordinate", "coordinates", "coordinates") or [None]
    shared = object_at(place, "shared_place", "place") or object_at(place, "shared_place")
    name = plain(text_at(shared, "full_name") or text_at(shared, "name"))
    longitude, latitude = payloads.number(at[0]), payloads.number(at[-1])
    return Part(kind=PartKind.LOCATION, longitude=longitude, latitude=latitude, name=name)


def _file(media: dict[str, Any]) -> Part:
    clips = list_at(media, "video_info", "variants")
    best: Any = max(clips, key=lambda clip: payloads.number(object_at(clip).get("bitrate")) or 0, default={})
    ref = plain(text_at(best, "url") or text_at(media, "media_url_https"))
    caption = plain(text_at(media, "ext_alt_text"))
    return Part(kind=_MEDIA[text_at(media, "type")], media_ref=ref, caption=caption)
