"""Add or change an account: check credentials against the channel's Config and store them."""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any, get_args, get_origin

import msgspec
from django.db import transaction
from django.utils import timezone

from channels_app.account import make_channel
from channels_app.channel import Channel
from channels_app.models import ChannelAccount, StoredSecret
from channels_app.registry import channels
from channels_app.types import Secret, Struct
from people.history import note, runs_this_process

#: A Config field of this name is the word by which the provider proves, in its handshake, that we gave it our address.
#: We choose it, and a person copies it to the provider: so it is made when left out, and may be shown.
VERIFY_TOKEN = "verify_token"  # noqa: S105 - the name of a field
#: For how long webhooks signed with replaced credentials are still taken.
ROTATION_WINDOW = timedelta(hours=24)
#: How many of a secret's last characters are shown, to tell it from another, and how long it must be for that.
_TAIL, _LONG_ENOUGH = 4, 16
#: Credentials that are only read belong to no account yet.
_NO_ACCOUNT = uuid.UUID(int=0)
#: Where msgspec says a fault is: "… - at `$.page_id`", or "missing required field `page_id`".
_FAULT = re.compile(r"(?:at `\$\.|required field `)(\w+)`")


class NotSaved(Exception):
    """The account was not saved. `key` names the credential at fault, empty if it is not a single one.

    The text says what is wrong and what to do, and never holds a credential.
    """

    def __init__(self, reason: str, key: str = "") -> None:
        super().__init__(reason)
        self.key = key


class CredentialField(Struct, frozen=True, kw_only=True):
    """One credential that a channel asks for. `example` is one that fits; it opens nothing."""

    key: str
    help: str
    secret: bool
    required: bool
    example: str

    @property
    def label(self) -> str:
        return self.key.replace("_", " ").capitalize()


def channel_class(kind: str) -> type[Channel[Any]]:
    """Return the channel of this kind; raise NotSaved, naming those that exist."""
    try:
        return channels()[kind]
    except KeyError:
        raise NotSaved(f"There is no channel {kind!r}. Choose one of: {', '.join(sorted(channels()))}.") from None


def credential_fields(channel: type[Channel[Any]]) -> list[CredentialField]:
    """Return what the channel's Config asks for, in its order."""
    return [_field(info) for info in msgspec.structs.fields(channel.Config)]


def save_account(
    kind: str, name: str, credentials: Mapping[str, str], *, instance: str = "", flow: str = "", by: str = ""
) -> ChannelAccount:
    """Store an account and return it; raise NotSaved. Idempotent: one row for each kind and address.

    `instance` and `flow` are Amazon Connect's ids; empty leaves what is stored, or else the settings' defaults. `by` is
    who set the secrets, for those who look at them later.
    """
    address, checked = read_credentials(kind, credentials)
    with transaction.atomic():
        account, _ = ChannelAccount.objects.select_for_update().get_or_create(
            kind=kind, address=address, defaults={"name": name, "credentials": {}}
        )
        account.name = name
        account.connect_instance_id = instance or account.connect_instance_id
        account.connect_contact_flow_id = flow or account.connect_contact_flow_id
        changed = set_credentials(account, checked)
        account.save()
        remember_secrets(account, changed, by or runs_this_process())
    return account


def read_credentials(kind: str, credentials: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Return our address at the provider and the credentials to store; raise NotSaved for what is wrong with them."""
    channel = channel_class(kind)
    known = [field.key for field in credential_fields(channel)]
    for key in credentials:
        if key not in known:
            raise NotSaved(f"{channel.label} has no credential {key!r}. It takes: {', '.join(known)}.", key)
    filled = {key: text.strip() for key, text in credentials.items() if text.strip()}
    complete = _with_verify_token(filled, known)
    try:
        channel.read_config(complete)
    except msgspec.ValidationError as fault:
        raise _explained(fault, channel) from None
    return make_channel(kind, _NO_ACCOUNT, complete).address, filled


def set_credentials(account: ChannelAccount, credentials: dict[str, str]) -> list[str]:
    """Put credentials that `read_credentials` returned into the account, unsaved; return the secrets that are new.

    A verify token that was not given stays as it is, or is made. When a secret changes, the former credentials are
    kept for ROTATION_WINDOW, so that webhooks signed with them on their way are not refused.
    """
    former = account.credentials or {}
    known = credential_fields(channel_class(account.kind))
    new = _with_verify_token(credentials, [field.key for field in known], former.get(VERIFY_TOKEN, ""))
    fresh = [field.key for field in known if field.secret and new.get(field.key) not in (None, former.get(field.key))]
    if replaced := [key for key in fresh if former.get(key) is not None]:
        account.former_credentials = former
        account.former_credentials_until = timezone.now() + ROTATION_WINDOW
        note(account, f"secret replaced: {', '.join(replaced)}")
    account.credentials = new
    return fresh


def remember_secrets(account: ChannelAccount, keys: Iterable[str], by: str) -> None:
    """Write down when and by whom these secrets were set, and their last characters. Call it where they are saved."""
    for key in keys:
        secret = account.credentials[key]
        seen = {
            "tail": secret[-_TAIL:] if len(secret) >= _LONG_ENOUGH else "",
            "set_at": timezone.now(),
            "set_by": by[:150],
        }
        StoredSecret.objects.update_or_create(account=account, key=key, defaults=seen)


def _with_verify_token(credentials: dict[str, str], known: list[str], former: str = "") -> dict[str, str]:
    if VERIFY_TOKEN not in known or credentials.get(VERIFY_TOKEN):
        return credentials
    return {**credentials, VERIFY_TOKEN: former or secrets.token_urlsafe(24)}


def _explained(fault: msgspec.ValidationError, channel: type[Channel[Any]]) -> NotSaved:
    match = _FAULT.search(str(fault))
    key = match[1] if match else ""
    what = "".join(f" It is: {field.help}" for field in credential_fields(channel) if field.key == key and field.help)
    if "missing required" in str(fault):
        return NotSaved(f"{key} is missing.{what}", key)
    reason = str(fault).partition(" - at ")[0]
    return NotSaved(f"{key or 'A credential'} does not look right: {reason}.{what}", key)


def _field(info: msgspec.structs.FieldInfo) -> CredentialField:
    types = set(_types_in(info.type))
    metas = list(_metas_of(info.type))
    notes = [meta.description for meta in metas if meta.description]
    examples = [example for meta in metas for example in meta.examples or []]
    required = info.required and info.name != VERIFY_TOKEN
    return CredentialField(
        key=info.encode_name,
        help=" ".join(notes),
        secret=Secret in types,
        required=required,
        example=str(next(iter(examples), "")),
    )


def _types_in(hint: Any) -> Iterator[Any]:
    """Yield the plain types in Annotated[…] and X | None."""
    inner = get_args(hint)[:1] if get_origin(hint) is Annotated else get_args(hint)
    if not inner:
        yield hint
    for part in inner:
        yield from _types_in(part)


def _metas_of(hint: Any) -> Iterator[msgspec.Meta]:
    if get_origin(hint) is Annotated:
        yield from (note for note in get_args(hint)[1:] if isinstance(note, msgspec.Meta))
