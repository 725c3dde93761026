"""The marks of our notes to the agent, and customers' texts and names that look like them made harmless. Pure.

What we tell an agent goes over the customer's connection and stands under the customer's name, so a mark in square
brackets says that it is Parley's. No bracket before our name is left in what a customer writes: neither as it was
written nor after it was cut into parts, since a part cannot begin with a bracket that is not there.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

NAME = "parley"
#: How notes to an agent begin: about a message that did not arrive, and about the customer's last chat.
NOT_DELIVERED, LAST_TIME = "[Parley: not delivered] ", "[Parley: last time] "
#: What is put in the place of a bracket that a customer wrote before our name.
INSTEAD = 'customer wrote "'
#: Letters of other alphabets, digits and signs that pass for those of our name, as Unicode writes them in lower case.
_LOOKALIKES = {
    look: letter
    for letter, looks in {
        "p": "рρϱᴘ",
        "a": "аαɑᴀ",
        "r": "гᴦʀɾ",
        "l": "iıіιⅼ1|!ӏļłʟ",  # noqa: RUF001 - lookalikes
        "e": "еεҽєᴇ",
        "y": "уүγʏýÿ",
    }.items()
    for look in looks
}
#: What passes for a square bracket although Unicode does not call it one, and what it calls one and does not pass:
#: people write (Parley) and „Parley“.
_OPENERS, _NO_OPENERS = frozenset("⎡⎢⎣┌├└╔╚"), frozenset("({（｛﹙﹛⁽₍⸨⦅｟„‚⹂")  # noqa: RUF001 - lookalikes
#: What makes letters run against their own direction: the mark written from its end would look like the mark.
_OVERRIDES = dict.fromkeys((0x202D, 0x202E))
#: Space, marks over letters, and characters that nobody sees.
_UNSEEN = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf", "Cn", "Co", "Mn", "Me", "Sk", "Lm"})


def is_marked(text: str) -> bool:
    """Return whether this is our note to an agent, as only we can have sent it over the customer's connection."""
    return text.startswith((NOT_DELIVERED.rstrip(), LAST_TIME.rstrip()))


def escaped(text: str) -> str:
    """Return a customer's text in which nothing looks like a mark of ours, wherever it stands. Linear in the text."""
    text = text.translate(_OVERRIDES)
    if text.isascii() and "[" not in text:
        return text
    brackets = [at for at, letter in enumerate(text) if _opens(letter) and _is_our_name(text, at + 1)]
    pieces, since = [], 0
    for at in brackets:
        pieces += [text[since:at], INSTEAD]
        since = at + 1
    return "".join([*pieces, text[since:]])


def escaped_name(name: str) -> str:
    """Return a customer's name; one that begins as ours do, in quotes that say whose it is."""
    clean = escaped(" ".join(name.split()))
    start = next((at for at, letter in enumerate(clean) if _letters(letter).isalnum()), 0)
    return f'customer "{clean}"' if _is_our_name(clean, start) else clean


@lru_cache(4096)
def _opens(letter: str) -> bool:
    return letter in _OPENERS or (unicodedata.category(letter) == "Ps" and letter not in _NO_OPENERS)


def _is_our_name(text: str, at: int) -> bool:
    """Return whether our name stands here, in whatever alphabet, spaced or with signs in it that nobody sees."""
    left = NAME
    for place in range(at, len(text)):
        letters = _letters(text[place])
        if not letters:
            continue
        if not left.startswith(letters):
            return False
        left = left[len(letters) :]
        if not left:
            return True
    return False


@lru_cache(4096)
def _letters(character: str) -> str:
    """Return the plain letters that a character passes for, "" if nobody sees it."""
    if unicodedata.category(character) in _UNSEEN and character not in _LOOKALIKES:
        return ""
    plain = unicodedata.normalize("NFKD", character).casefold()
    return "".join(_LOOKALIKES.get(letter, letter) for letter in plain if not unicodedata.combining(letter))
