"""The language of a text, as far as its script and its most frequent words show it.

That is enough for most messages; only for the others is the engine asked, at a call each.
"""

from __future__ import annotations

import re

#: Words that are frequent in one language and in none of the others here, or in few.
_SMALL_WORDS = {
    "en": "the and is are you my for not have i it's this that what with was please can't don't of to it",
    "es": "el los las que es y muy mi pero por para con está estoy usted gracias hola tengo cómo cuándo dónde ya",
    "fr": "le les des et est je vous mon ma pas pour dans que avec c'est suis bonjour merci où une votre très",
    "de": "der die das und ist ich nicht ein eine mit wie mein meine bitte danke haben sie auf für noch wann",
    "it": "il lo gli che di è non per sono mio mia con ho grazie ciao perché della questo quando dove anche",
    "pt": "o os que de é não um uma para com meu minha está eu você obrigado obrigada olá quando onde muito já",
}
_WORDS = {language: frozenset(words.split()) for language, words in _SMALL_WORDS.items()}
_SCRIPTS = (
    ("ja", re.compile("[\u3040-\u30ff]")),
    ("ko", re.compile("[\uac00-\ud7af]")),
    ("zh", re.compile("[\u4e00-\u9fff]")),
    ("ar", re.compile("[\u0600-\u06ff]")),
    ("hi", re.compile("[\u0900-\u097f]")),
)
_OTHER_LETTERS = re.compile("[^\\W\\d_a-zA-Z\u00c0-\u024f]")
#: Small words that must be found, and how many more than in any other language.
LEAST, LEAD = 2, 2


def from_locale(locale: str) -> str:
    """Return the language of a locale as messengers write it (es_ES, pt-BR, zh_TW); "" for none."""
    language, _, region = locale.replace("_", "-").partition("-")
    code = language.lower()
    return "zh-TW" if code == "zh" and region.upper() in ("TW", "HK", "HANT") else code


def plain(text: str) -> str:
    """Return the language if the text shows it clearly, else ""."""
    for language, script in _SCRIPTS:
        if script.search(text):
            return language
    if _OTHER_LETTERS.search(text):
        return ""
    words = re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)?", text.lower())
    hits = sorted(
        ((sum(word in known for word in words), language) for language, known in _WORDS.items()), reverse=True
    )
    (most, language), (second, _) = hits[0], hits[1]
    return language if most >= LEAST and most - second >= LEAD else ""
