"""Names as evidence sees them: without accents, case, order of words or ornament."""

from __future__ import annotations

import unicodedata

#: Zero-width non-joiner and joiner: Persian and Hindi names are spelt with them, families of emoji made of them.
_JOINERS = "\u200c\u200d"
#: One word or a very short one is shared by too many to say anything.
_LEAST_WORDS, _LEAST_LETTERS = 2, 5


def one_line(text: str) -> str:
    """Return the text on one line: names with line breaks or control characters forge log lines and headers."""
    return " ".join("".join(c if c.isprintable() or c in _JOINERS else " " for c in text).strip(_JOINERS).split())


def name_key(name: str) -> str:
    """Return what two spellings of one full name have in common, "" for a name that says too little.

    "María  LÓPEZ 🌸" and "Lopez, Maria" have the same key.
    """
    plain = unicodedata.normalize("NFKD", name).casefold()
    letters = "".join(c if c.isalpha() else "" if unicodedata.combining(c) else " " for c in plain)
    words = sorted(letters.split())
    return " ".join(words)[:256] if len(words) >= _LEAST_WORDS and len(letters) >= _LEAST_LETTERS else ""
