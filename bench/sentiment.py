"""What scoring asks of Amazon Comprehend and what that costs, for a thousand messages; against the simulated one.

The words are like those of customers: short, in four languages, half of them from people whose language their messenger
told. First a backlog, as after a stop; then messages one by one at a steady rate; then the same words again.
"""

from __future__ import annotations

import os
import time
from typing import Any

import django

from bench.lab import database, free_port, manage, process, python, until_answers

QUICK: dict[str, Any] = {"messages": 200, "seconds": 5.0}
WORDS = {
    "en": ("Where is my parcel? It is a week late and nobody answers.", "Thank you, that was quick and very kind.",
           "The app does not open and I have a question about my order.", "This is the third time. It is terrible."),
    "es": ("¿Dónde está mi pedido? Es muy tarde y nadie me responde.", "Muchas gracias, todo está muy bien.",
           "Hola, tengo una pregunta por la factura de mi pedido.", "Esto es terrible, estoy muy enfadado."),
    "de": ("Wo ist mein Paket? Ich warte und niemand ist für mich da.", "Danke, das ist sehr nett und ich bin froh.",
           "Ich habe eine Frage und die App ist nicht zu öffnen.", "Das ist schrecklich und ich bin wütend."),
    "fr": ("Où est mon colis ? Je suis pas content et c'est très long.", "Merci, vous êtes très gentils avec moi.",
           "Bonjour, j'ai une question pour ma facture et mon compte.", "C'est terrible, je suis pas content."),
}  # fmt: skip


def run(messages: int = 2_000, seconds: float = 30.0, rate: int = 20) -> dict[str, object]:
    """Print and return calls and US dollars for 1,000 messages."""
    port = free_port()
    world = f"http://127.0.0.1:{port}"
    os.environ |= {"AWS_ENDPOINT_URL_COMPREHEND": world, "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
    os.environ |= {"AWS_DEFAULT_REGION": "us-east-1", "LOG_LEVEL": "ERROR", "DJANGO_SETTINGS_MODULE": "config.settings"}
    with (
        database("bench_sentiment") as url,
        process(python("manage.py", "simulator", "--port", str(port)), {}, "world"),
    ):
        os.environ["DATABASE_URL"] = url
        manage("migrate", "-v", "0", env={"DATABASE_URL": url})
        until_answers(world)
        django.setup()
        talks = _talks()
        findings = {**_backlog(talks, messages), **_trickle(talks, messages, seconds, rate), **_again(talks, messages)}
    for name, value in findings.items():
        print(f"  {name:<58} {value}")
    return findings


def _talks() -> list[Any]:
    """Store forty customers; of every second one the messenger told the language."""
    from django.utils import timezone

    from channels_app.accounts.service import save_account
    from connect_bridge.models import Contact, Conversation
    from customers.models import Customer, Identity
    from sandbox import demo

    account = save_account("whatsapp", "bench", demo.ACCOUNTS["whatsapp"][1])
    talks = []
    for number in range(40):
        language = list(WORDS)[number % 4]
        customer = Customer.objects.create(display_name=f"Customer {number}")
        identity = Identity.objects.create(
            customer=customer,
            home=customer,
            kind="whatsapp",
            external_id=str(number),
            locale=language * (number // 4 % 2),
        )
        talk = Conversation.objects.create(account=account, identity=identity, recipient=str(number))
        talks.append(
            (language, Contact.objects.create(conversation=talk, state="connected", requested_at=timezone.now()))
        )
    return talks


def _write(talks: list[Any], first: int, number: int) -> None:
    """Store so many messages, as bridges do."""
    from django.utils import timezone

    from connect_bridge.models import Message

    rows, now = [], timezone.now()
    for at in range(first, first + number):
        language, contact = talks[at * 7 % len(talks)]
        text = f"{WORDS[language][at % 4]} {at:05}"
        common = {"conversation_id": contact.conversation_id, "contact": contact, "direction": "in", "role": "CUSTOMER"}
        rows.append(
            Message(
                **common, sequence=_sequence(), text=text, original={"event": "message", "text": text},
                status="relayed", occurred_at=now, created_at=now,
            )
        )  # fmt: skip
    Message.objects.bulk_create(rows)


def _sequence() -> int:
    global _last  # noqa: PLW0603 - numbers of one run
    _last += 1
    return _last


_last = 0


def _work(*, until_done: bool = False) -> None:
    """Do what the worker's task does."""
    from analytics.models import Sentiment
    from analytics.rollups import update
    from analytics.sentiment import key_phrases, scoring

    while True:
        while (done := update.refresh()) and done.changes:
            pass
        scoring.run(scoring.engine())
        key_phrases.run(scoring.engine())
        if not until_done or not Sentiment.objects.filter(state="pending").exists():
            return
        time.sleep(0.1)


def _told(name: str, messages: int, work: Any) -> dict[str, object]:
    """Return what a piece of work added to the ledger, for 1,000 messages."""
    from analytics.models import Spending
    from analytics.sentiment import cost_ledger

    def spent() -> list[int]:
        rows = list(Spending.objects.values_list("calls", "units", "throttled"))
        return [sum(row[place] for row in rows) for place in range(3)]

    before = spent()
    work()
    calls, units, throttled = (now - then for now, then in zip(spent(), before, strict=True))
    per = 1000 / messages
    return {
        f"{name}: calls for 1,000 messages": round(calls * per, 1),
        f"{name}: more calls, that were throttled": throttled,
        f"{name}: US dollars for 1,000 messages": f"{cost_ledger.cost(units) * per:.3f}",
    }


def _backlog(talks: list[Any], messages: int) -> dict[str, object]:
    def work() -> None:
        _write(talks, 0, messages)
        _work(until_done=True)

    return _told("backlog", messages, work)


def _trickle(talks: list[Any], first: int, seconds: float, rate: int) -> dict[str, object]:
    number = int(seconds * rate)

    def work() -> None:
        began, written = time.monotonic(), 0
        while written < number:
            due = min(number, int((time.monotonic() - began) * rate)) - written
            _write(talks, first + written, due)
            written += due
            _work()
            time.sleep(0.2)
        _work(until_done=True)

    return _told(f"{rate} a second", number, work)


def _again(talks: list[Any], messages: int) -> dict[str, object]:
    def work() -> None:
        _write(talks, 0, messages)
        _work(until_done=True)

    return _told("the same words again", messages, work)
