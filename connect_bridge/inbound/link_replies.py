"""What customers are told when a code is to join two of their chats: on both channels, in their languages.

Stored in the transaction that changes the code's state, and sent like everything else. Where nothing may be sent,
because of a STOP or because the messenger takes no free text any more, the customer is not told.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime

from channels_app.accounts.opening_hours import chosen
from channels_app.infrastructure.db import AsyncConnection
from channels_app.registry import channels
from channels_app.reply_window import window_closes
from connect_bridge.outbox.system_message import STORE, message_params
from customers.claims import News, Notification

LAST_CONVERSATION = """
SELECT c.id, a.kind, i.locale, a.default_language, c.last_inbound_at
  FROM connect_bridge_conversation c JOIN channels_app_channelaccount a ON a.id = c.account_id
  JOIN customers_identity i ON i.id = c.identity_id
 WHERE i.id = %(identity)s AND a.enabled AND i.suppressed_at IS NULL AND c.last_inbound_at IS NOT NULL
 ORDER BY c.last_inbound_at DESC LIMIT 1
"""
#: The conversations that may get a message: whoever stores in several locks them first, in order.
CONVERSATIONS = "SELECT id FROM connect_bridge_conversation WHERE identity_id = ANY(%s)"
KIND = "SELECT kind FROM customers_identity WHERE id = %(identity)s"
#: What the other chat is called where its channel is not known.
ELSEWHERE = {
    "en": "another channel",
    "es": "otro canal",
    "de": "einem anderen Kanal",
    "fr": "un autre canal",
    "pt": "outro canal",
    "it": "un altro canale",
}
WORDS: dict[News, dict[str, str]] = {
    News.ASKED: {
        "en": "Your message holds a code of your chat with us on {other}. Reply YES to join the two chats. "
        "If you did not ask for that, reply NO.",
        "es": "Su mensaje lleva un código de su chat con nosotros en {other}. Responda SÍ para unir los dos chats. "
        "Si no lo ha pedido, responda NO.",
        "de": "Ihre Nachricht enthält einen Code aus Ihrem Chat mit uns auf {other}. Antworten Sie JA, um beide Chats "
        "zu verbinden. Wenn Sie das nicht wollten, antworten Sie NEIN.",
        "fr": "Votre message contient un code de votre discussion avec nous sur {other}. Répondez OUI pour réunir les "
        "deux discussions. Si vous n'avez rien demandé, répondez NON.",
        "pt": "A sua mensagem traz um código da sua conversa connosco em {other}. Responda SIM para juntar as duas "
        "conversas. Se não o pediu, responda NÃO.",
        "it": "Il suo messaggio contiene un codice della sua chat con noi su {other}. Risponda SÌ per unire le due "
        "chat. Se non l'ha chiesto, risponda NO.",
    },
    News.WARNED: {
        "en": "Somebody on {other} uses a code of this chat to join it with theirs. If it is not you, reply NOT ME.",
        "es": "Alguien en {other} usa un código de este chat para unirlo al suyo. Si no es usted, responda NO SOY YO.",
        "de": "Jemand auf {other} verwendet einen Code aus diesem Chat, um ihn mit seinem zu verbinden. Wenn Sie es "
        "nicht sind, antworten Sie NICHT ICH.",
        "fr": "Quelqu'un sur {other} utilise un code de cette discussion pour la réunir à la sienne. Si ce n'est pas "
        "vous, répondez PAS MOI.",
        "pt": "Alguém em {other} usa um código desta conversa para a juntar à sua. Se não é você, responda NÃO FUI EU.",
        "it": "Qualcuno su {other} usa un codice di questa chat per unirla alla sua. Se non è lei, "
        "risponda NON SONO IO.",
    },
    News.JOINED: {
        "en": "This chat and yours on {other} are joined.",
        "es": "Este chat y el suyo en {other} están unidos.",
        "de": "Dieser Chat und Ihrer auf {other} sind verbunden.",
        "fr": "Cette discussion et la vôtre sur {other} sont réunies.",
        "pt": "Esta conversa e a sua em {other} estão juntas.",
        "it": "Questa chat e la sua su {other} sono unite.",
    },
    News.LEFT_ALONE: {
        "en": "Nothing was joined.",
        "es": "No se ha unido nada.",
        "de": "Es wurde nichts verbunden.",
        "fr": "Rien n'a été réuni.",
        "pt": "Nada foi junto.",
        "it": "Nulla è stato unito.",
    },
    News.TAKEN_APART: {
        "en": "This chat is not joined with the one on {other}.",
        "es": "Este chat no está unido al de {other}.",
        "de": "Dieser Chat ist nicht mit dem auf {other} verbunden.",
        "fr": "Cette discussion n'est pas réunie à celle sur {other}.",
        "pt": "Esta conversa não está junta à de {other}.",
        "it": "Questa chat non è unita a quella su {other}.",
    },
}


async def conversations_of(connection: AsyncConnection, notices: Iterable[Notification]) -> list[uuid.UUID]:
    """Return the conversations in which send_notices() may store something: the caller locks them before."""
    identities = [notice.identity for notice in notices]
    if not identities:
        return []
    return [row[0] for row in await (await connection.execute(CONVERSATIONS, [identities])).fetchall()]


async def send_notices(connection: AsyncConnection, notices: Iterable[Notification]) -> None:
    """Tell each customer, where they wrote last. Needs a transaction that has locked conversations_of()."""
    for notice in notices:
        row = await (await connection.execute(LAST_CONVERSATION, {"identity": notice.identity})).fetchone()
        if row is None:
            continue
        conversation, kind, locale, language, last_inbound_at = row
        closes = window_closes(kind, last_inbound_at)
        if closes is not None and closes < datetime.now(UTC):
            continue
        other = await _channel_label(connection, notice.other) or chosen(ELSEWHERE, locale, language)
        text = chosen(WORDS[notice.news], locale, language).format(other=other)
        await connection.execute(STORE, message_params(conversation, kind, text))


async def _channel_label(connection: AsyncConnection, identity: uuid.UUID | None) -> str:
    if identity is None:
        return ""
    row = await (await connection.execute(KIND, {"identity": identity})).fetchone()
    channel = channels().get(row[0]) if row else None
    return channel.label.partition(" (")[0] if channel else ""  # whose service brings it is nothing to a customer
