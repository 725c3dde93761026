"""What the customers and agents of the demo say: a few dozen sentences for each theme, drawn by dice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

import msgspec


class Theme(msgspec.Struct, frozen=True):
    """What people write about. `weight`: how often; `queue`: who answers it."""

    queue: str
    weight: int
    opening: Sequence[str]
    bad: Sequence[str]
    good: Sequence[str]
    plain: Sequence[str]


THEMES: Mapping[str, Theme] = {
    "parcel": Theme(
        "Support",
        30,
        (
            "Where is my order {order}?",
            "My parcel has not come yet, order {order}.",
            "Tracking has said 'in transit' for five days now.",
        ),
        (
            "The parcel is late again and nobody tells me anything. This is unacceptable.",
            "I have been waiting for two weeks. This is ridiculous.",
            "The late parcel ruined a birthday. I am really disappointed.",
            "Your delivery company is useless, the parcel is lost.",
        ),
        (
            "It arrived just now, thank you so much!",
            "Great, the parcel is here. You are brilliant.",
            "Perfect, thanks!",
        ),
        ("The order number is {order}.", "I live at the same address as before.", "When will it be here?"),
    ),
    "invoice": Theme(
        "Billing",
        18,
        (
            "I have a question about invoice {order}.",
            "Why is my invoice higher than last month?",
            "I was charged twice.",
        ),
        (
            "I was charged twice and nobody answers. I want a refund now.",
            "The wrong invoice again. This is a terrible service.",
            "This double charge is outrageous, I will call my lawyer.",
        ),
        (
            "Great, the refund has arrived. Thank you!",
            "Wonderful, that was quick.",
            "Thanks, that is very kind of you.",
        ),
        ("The invoice is from last Monday.", "It is the second line, the one for shipping.", "I pay by card."),
    ),
    "app": Theme(
        "Support",
        20,
        ("I cannot log in to the app.", "The app shows a blank page.", "How do I change my password?"),
        (
            "The app keeps crashing since the update. It is unusable.",
            "The app crash deleted my basket. I hate this.",
            "Still broken. The login page is a horrible mess.",
        ),
        ("It works now, thanks a lot!", "Fixed, you are a legend.", "Lovely, the login page is back."),
        ("It is an Android phone.", "I have installed the update.", "Which version is the newest?"),
    ),
    "sizes": Theme(
        "Sales",
        22,
        ("Do you have this jacket in size L?", "Is the blue one back in stock?", "Do you ship to Ireland?"),
        (
            "The website says in stock and the shop says no. That is annoying.",
            "A wrong size for the third time. Awful.",
        ),
        ("Great, I will take it. Thank you!", "Excellent advice, I love it.", "Nice, that helps a lot."),
        ("Size L, please.", "The one from the newsletter.", "How much is shipping?"),
    ),
    "return": Theme(
        "Billing",
        10,
        (
            "How can I return order {order}?",
            "The shoes are too small, can I send them back?",
            "Where is my return label?",
        ),
        (
            "The return label does not work and I am angry.",
            "I sent it back a month ago and there is no refund. Very bad service.",
            "Nobody picks up the return. I am frustrated.",
        ),
        ("The return label came, thanks!", "Super easy, thank you.", "Thank you, I am happy with that."),
        ("It is unopened.", "I have the receipt.", "Can I bring it to the shop?"),
    ),
}
#: What comes in other languages: (language, sentences). Word lists know them to be languages, no more.
FOREIGN: Sequence[tuple[str, Sequence[str]]] = (
    ("es", ("¿Dónde está mi pedido?", "Es el pedido {order}.", "Gracias por la ayuda.", "Por favor, es muy urgente.")),
    (
        "de",
        ("Wo ist mein Paket?", "Die Bestellung ist {order}.", "Danke für die schnelle Hilfe.", "Das ist nicht gut."),
    ),
    ("fi", ("Missä tilaukseni on?", "Tilaus {order}.", "Kiitos avusta.")),
)
AGENT = (
    "Hello, I am {agent}. Let me look that up for you.",
    "I have found it. One moment, please.",
    "I have passed that on and will keep an eye on it.",
    "You will get a confirmation by e-mail within the hour.",
    "Is there anything else that I can do for you?",
    "I am sorry for the trouble. I have put it right now.",
)
BOT = (
    "Hello! How can I help? Say 'agent' for a person.",
    "Your order is on its way.",
    "We are here every day from 8 to 20.",
    "Refunds take five days. Say 'agent' to talk to someone.",
)
#: Languages that the simulated engine takes.
SCORED = ("en", "es", "de")
#: Moods under and over which people write what is bad or good.
BAD, GOOD = -0.35, 0.55
#: Shares of sends that fail.
SAFE, RISKY = 0.008, 0.3
AGENTS = ("Ana", "Ben", "Chiara", "Dev", "Elif", "Farid", "Grace", "Hugo")
GREETING = "Thank you for writing to Acme. Somebody will be with you shortly."
FIRST_NAMES = (
    "Ada",
    "Bo",
    "Carla",
    "Dan",
    "Eva",
    "Finn",
    "Gia",
    "Hal",
    "Ida",
    "Jan",
    "Kim",
    "Leo",
    "Mia",
    "Ned",
    "Oda",
    "Pia",
    "Quin",
    "Ray",
    "Sol",
    "Tea",
    "Uma",
    "Vic",
    "Wes",
    "Xia",
    "Yan",
    "Zoe",
)
LAST_NAMES = (
    "Abel",
    "Berg",
    "Costa",
    "Diaz",
    "Engel",
    "Fox",
    "Gupta",
    "Horn",
    "Ito",
    "Jung",
    "Khan",
    "Lund",
    "Moreau",
    "Novak",
    "Olsen",
    "Park",
    "Quist",
    "Rossi",
    "Silva",
    "Tan",
)


def theme_of(dice: Random) -> tuple[str, Theme]:
    name = dice.choices(list(THEMES), [theme.weight for theme in THEMES.values()])[0]
    return name, THEMES[name]


def sentence(dice: Random, several: Sequence[str], agent: str = "") -> str:
    return dice.choice(several).format(order=dice.randint(10_000, 99_999), agent=agent)
