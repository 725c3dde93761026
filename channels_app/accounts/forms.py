"""The forms by which an account is set up; the one for credentials is derived from its channel's Config."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from django import forms
from unfold.widgets import INPUT_CLASSES

from channels_app.account_fields import FIELDS
from channels_app.accounts.provider_checks import try_credentials
from channels_app.accounts.service import VERIFY_TOKEN, CredentialField, NotSaved, credential_fields, read_credentials
from channels_app.channel import Channel
from channels_app.models import ChannelAccount
from channels_app.types import Checked
from people.typed import Decoder

#: Before the credentials' names in the form: a credential may be called `name`, as a field of the account is.
PREFIX = "credential_"
#: Amazon Connect, API reference, StartChatContact: Attributes.
MOST_ATTRIBUTE_BYTES = 32_768
_ATTRIBUTE_KEY = re.compile(r"[A-Za-z0-9_-]+")
#: How Unfold dresses the fields of models.
BOX = {"class": " ".join(INPUT_CLASSES)}


class SecretInput(forms.PasswordInput):
    """A password box that never holds what is stored, nor what was typed."""

    def __init__(self, hint: str) -> None:
        super().__init__(render_value=False, attrs={**BOX, "autocomplete": "new-password", "placeholder": hint})


class AttributesField(forms.JSONField):
    """A box for contact attributes, of which only those are good that Amazon Connect takes."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "decoder": Decoder})

    def clean(self, value: Any) -> dict[str, str]:
        """Return the attributes, {} for an empty box; raise ValidationError for what Connect refuses."""
        attributes = super().clean(value) or {}
        if not isinstance(attributes, dict) or not all(isinstance(text, str) for text in attributes.values()):
            raise forms.ValidationError('Give a JSON object of texts, as in {"language": "es"}.')
        if odd := [key for key in attributes if not _ATTRIBUTE_KEY.fullmatch(key)]:
            raise forms.ValidationError(f"Connect takes letters, digits, - and _ in a key: {odd[0]!r} has others.")
        if sum(len((key + text).encode()) for key, text in attributes.items()) > MOST_ATTRIBUTE_BYTES:
            raise forms.ValidationError(f"Connect takes {MOST_ATTRIBUTE_BYTES:,} bytes of attributes, keys included.")
        return attributes


class AccountForm(forms.ModelForm[ChannelAccount]):
    """What every account has, without its credentials."""

    class Meta:
        model = ChannelAccount
        fields: ClassVar[Any] = [field.name for field in FIELDS]
        field_classes: ClassVar[Any] = {"attributes": AttributesField}


class CredentialsForm(forms.Form):
    """A name and the credentials of one channel. `credentials_form` adds the latter.

    `stored` are the credentials that are kept where a box for a secret is left empty. `account` is the row, or the
    unsaved one that a draft becomes. Whether the provider knows the credentials is asked last, and not in a
    transaction; `unasked` leaves it out, for when the provider is away.
    """

    channel: ClassVar[type[Channel[Any]]]
    name = forms.CharField(max_length=100, help_text="How your team calls it.", widget=forms.TextInput(attrs=BOX))
    unasked = forms.BooleanField(
        required=False,
        label="Save without asking the messenger",
        help_text="Only while it cannot be asked: wrong credentials would replace good ones.",
    )

    def __init__(self, account: ChannelAccount, stored: dict[str, str], *args: Any, **kwargs: Any) -> None:
        self.account, self.stored = account, stored
        self.credentials: dict[str, str] = {}
        self.answer: Checked | None = None
        super().__init__(*args, **kwargs)
        self.fields["name"].initial = account.name
        for field in credential_fields(self.channel):
            self.fields[PREFIX + field.key] = self._input(field)
        self.order_fields(["name", *(PREFIX + field.key for field in credential_fields(self.channel)), "unasked"])

    def _input(self, field: CredentialField) -> forms.CharField:
        stored = self.stored.get(field.key, "")
        notes = [field.help]
        if field.secret:
            notes.append("Leave empty to keep the one that is set." if stored else "")
        if field.key == VERIFY_TOKEN:
            notes.append("Leave empty and one is made for you." if not stored else "")
        return forms.CharField(
            label=field.label,
            help_text=" ".join(filter(None, notes)),
            required=field.required and not (field.secret and stored),
            initial=None if field.secret else stored,
            widget=SecretInput("•••• set" if stored else "") if field.secret else forms.TextInput(attrs=BOX),
        )

    def entered(self) -> dict[str, str]:
        """Return what was typed, valid or not, and what is stored for the secrets that were left empty."""
        entered = {}
        for field in credential_fields(self.channel):
            typed = (self.data.get(PREFIX + field.key) or "").strip()
            entered[field.key] = typed or (self.stored.get(field.key, "") if field.secret else "")
        return {key: text for key, text in entered.items() if text}

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if any(name.startswith(PREFIX) for name in self.errors):
            return cleaned
        try:
            self.account.address, self.credentials = read_credentials(self.channel.kind, self.entered())
            self._check_address()
        except NotSaved as fault:
            self.add_error(PREFIX + fault.key if PREFIX + fault.key in self.fields else None, str(fault))
            return cleaned
        if not self.errors and not cleaned.get("unasked") and self.credentials != self.account.credentials:
            self._ask()
        return cleaned

    def _check_address(self) -> None:
        """Refuse an address that another account has, or a new one for an account that customers have written to."""
        mine = self.account
        other = ChannelAccount.objects.filter(kind=mine.kind, address=mine.address).exclude(pk=mine.pk).first()
        if other is not None:
            raise NotSaved(f"{mine.address} is set up already, as “{other.name}”. Change that account instead.")
        if not mine._state.adding and mine.deliveries.exclude(account__address__in=["", mine.address]).exists():  # noqa: SLF001 - Django documents Model._state
            raise NotSaved(
                f"These credentials belong to {mine.address}, but customers have written to this account under another "
                "address. Add a new account for the new address."
            )

    def _ask(self) -> None:
        """Ask the provider with the new credentials; the old ones stay until it knows these."""
        self.answer = try_credentials(self.channel.kind, self.account.pk, self.credentials)
        if self.answer is not None and not self.answer.ok:
            code = f" ({self.answer.code})" if self.answer.code else ""
            self.add_error(None, f"Not saved. {self.channel.label} says{code}: {self.answer.said} {self.answer.fix}")


def credentials_form(channel: type[Channel[Any]]) -> type[CredentialsForm]:
    """Return the form for the credentials of one channel."""
    return type(f"{channel.__name__}CredentialsForm", (CredentialsForm,), {"channel": channel})
