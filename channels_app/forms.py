"""The form by which an account is set up, derived from its channel's Config."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from django import forms
from unfold.widgets import INPUT_CLASSES

from channels_app.channel import Channel
from channels_app.models import ChannelAccount
from channels_app.setup import (
    VERIFY_TOKEN,
    CredentialField,
    NotSaved,
    credential_fields,
    read_credentials,
    set_credentials,
)

#: Credentials keep to themselves in the form: one of them may be called `name`, as a field of the account is.
PREFIX = "credential_"
#: Amazon Connect, API reference, StartChatContact: Attributes.
MOST_ATTRIBUTE_BYTES = 32_768
_ATTRIBUTE_KEY = re.compile(r"[A-Za-z0-9_-]+")
#: How Unfold dresses the fields of models.
BOX = {"class": " ".join(INPUT_CLASSES)}


class SecretInput(forms.PasswordInput):
    """A password box that never holds what is stored, nor what was typed."""

    def __init__(self, *, stored: bool) -> None:
        hint = "•••• set" if stored else ""
        super().__init__(render_value=False, attrs={**BOX, "autocomplete": "new-password", "placeholder": hint})


class AccountForm(forms.ModelForm[ChannelAccount]):
    """What every account has. `account_form` adds the credentials of one channel."""

    channel: ClassVar[type[Channel[Any]]]
    credentials: dict[str, str]

    class Meta:
        model = ChannelAccount
        fields = [
            "name",
            "enabled",
            "when_uncertain",
            "connect_instance_id",
            "connect_contact_flow_id",
            "holding_reply",
            "attributes",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance.kind = self.channel.kind
        for asked in credential_fields(self.channel):
            self.fields[PREFIX + asked.key] = self._input(asked)

    @property
    def _stored(self) -> dict[str, str]:
        return self.instance.credentials or {}

    def _input(self, asked: CredentialField) -> forms.CharField:
        stored = self._stored.get(asked.key, "")
        notes = [asked.help]
        if asked.secret:
            notes.append("Leave empty to keep the one that is set." if stored else "")
        if asked.key == VERIFY_TOKEN:
            notes.append("Leave empty and one is made for you." if not stored else "")
        return forms.CharField(
            label=asked.label,
            help_text=" ".join(filter(None, notes)),
            required=asked.required and not (asked.secret and stored),
            initial=None if asked.secret else stored,
            widget=SecretInput(stored=bool(stored)) if asked.secret else forms.TextInput(attrs=BOX),
        )

    def clean_attributes(self) -> dict[str, str]:
        attributes = self.cleaned_data["attributes"] or {}
        if not isinstance(attributes, dict) or not all(isinstance(text, str) for text in attributes.values()):
            raise forms.ValidationError('Give a JSON object of texts, as in {"language": "es"}.')
        if odd := [key for key in attributes if not _ATTRIBUTE_KEY.fullmatch(key)]:
            raise forms.ValidationError(f"Connect takes letters, digits, - and _ in a key: {odd[0]!r} has others.")
        if sum(len((key + text).encode()) for key, text in attributes.items()) > MOST_ATTRIBUTE_BYTES:
            raise forms.ValidationError(f"Connect takes {MOST_ATTRIBUTE_BYTES:,} bytes of attributes, keys included.")
        return attributes

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if any(name.startswith(PREFIX) for name in self.errors):
            return cleaned
        try:
            self.instance.address, self.credentials = read_credentials(self.channel.kind, self._given(cleaned))
            self._check_address()
        except NotSaved as fault:
            self.add_error(PREFIX + fault.key if PREFIX + fault.key in self.fields else None, str(fault))
        return cleaned

    def _given(self, cleaned: dict[str, Any]) -> dict[str, str]:
        """Return what was typed, and what is stored for the secrets that were left empty."""
        given = {}
        for asked in credential_fields(self.channel):
            typed = cleaned.get(PREFIX + asked.key) or ""
            given[asked.key] = typed or (self._stored.get(asked.key, "") if asked.secret else "")
        return given

    def _check_address(self) -> None:
        """Refuse an address that another account has, or a new one for an account that customers have written to."""
        mine = self.instance
        other = ChannelAccount.objects.filter(kind=mine.kind, address=mine.address).exclude(pk=mine.pk).first()
        if other is not None:
            raise NotSaved(f"{mine.address} is set up already, as “{other.name}”. Change that account instead.")
        if not mine._state.adding and mine.deliveries.exclude(account__address=mine.address).exists():  # noqa: SLF001 - Django documents Model._state
            raise NotSaved(
                f"These credentials belong to {mine.address}, but customers have written to this account under another "
                "address. Add a new account for the new address."
            )

    def store(self) -> None:
        """Put the credentials into the instance, unsaved; former secrets stay valid for a while."""
        set_credentials(self.instance, self.credentials)


def account_form(channel: type[Channel[Any]]) -> type[AccountForm]:
    """Return the form for accounts of one channel."""
    names = {PREFIX + asked.key: forms.CharField(required=False) for asked in credential_fields(channel)}
    return type(f"{channel.__name__}AccountForm", (AccountForm,), {"channel": channel, **names})
