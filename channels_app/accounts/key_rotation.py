"""Encrypt stored credentials, second factors and chats' tokens anew with the first key: the others can then go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from allauth.mfa.models import Authenticator
from cryptography.fernet import InvalidToken
from django.apps import apps
from django.db import connection, models

from channels_app.fields import EncryptedJSONField, EncryptedTextField
from people.encryption import cipher, is_current


@dataclass(frozen=True, slots=True)
class Sealed:
    """One stored value: where it is, and under which key. `lost` ones no key of ours opens."""

    table: str
    column: str
    row: str
    current: bool
    lost: bool = False


def sealed(*, act: bool) -> Iterator[Sealed]:
    """Yield each stored value as it was found; with `act`, what is under an older key is encrypted anew.

    Safe to run again and while everything runs: a value that changes meanwhile is left to whoever changes it, who
    encrypts with the first key anyway. The rows' own times stay, so no worker builds its channel anew.
    """
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            if isinstance(field, (EncryptedJSONField, EncryptedTextField)):
                yield from _of(model, field, act=act)
    for factor in Authenticator.objects.exclude(type=Authenticator.Type.WEBAUTHN):
        yield from _of_factor(factor, act=act)


def _of_factor(factor: Any, *, act: bool) -> Iterator[Sealed]:
    """Yield an authenticator app's key, or the seed of somebody's recovery codes."""
    for name in ("secret", "seed"):
        token = factor.data.get(name)
        if token is None:
            continue
        value, anew = _rotated((factor._meta.db_table, "data", factor.pk), token.encode())
        if act and anew:
            again = {**factor.data, name: anew.decode()}
            type(factor).objects.filter(pk=factor.pk, data=factor.data).update(data=again)
        yield value


def _of(model: type[models.Model], field: models.Field[Any, Any], *, act: bool) -> Iterator[Sealed]:
    table, column, key = model._meta.db_table, str(field.column), str(model._meta.pk.column)
    with connection.cursor() as cursor:
        # A text that is empty holds nothing; bytes never are.
        cursor.execute(f"""SELECT "{key}", "{column}" FROM "{table}" WHERE "{column}" <> ''""")  # noqa: S608 - our own names
        rows = cursor.fetchall()
    for row, token in rows:
        yield _examined(table, column, key, (row, token), act=act)


def _examined(table: str, column: str, key: str, stored: tuple[Any, Any], *, act: bool) -> Sealed:
    row, token = stored
    value, anew = _rotated((table, column, row), token.encode() if isinstance(token, str) else bytes(token))
    if act and anew:
        with connection.cursor() as cursor:
            cursor.execute(
                f'UPDATE "{table}" SET "{column}" = %s WHERE "{key}" = %s AND "{column}" = %s',  # noqa: S608 - our own names
                [anew.decode() if isinstance(token, str) else anew, row, token],
            )
    return value


def _rotated(where: tuple[str, str, Any], token: bytes) -> tuple[Sealed, bytes | None]:
    """Return what this value is, and, if it is under an older key of ours, the same under the first."""
    table, column, row = where
    if is_current(token):
        return Sealed(table, column, str(row), current=True), None
    try:
        return Sealed(table, column, str(row), current=False), cipher().rotate(token)
    except InvalidToken:
        return Sealed(table, column, str(row), current=False, lost=True), None
