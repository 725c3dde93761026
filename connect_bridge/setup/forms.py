"""Where an account's chats go, and what customers are told meanwhile: the forms of two steps of the set-up."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from unfold.widgets import CHECKBOX_CLASSES

from channels_app.accounts.forms import BOX, AttributesField
from channels_app.models import ChannelAccount


class RouteForm(forms.ModelForm[ChannelAccount]):
    class Meta:
        model = ChannelAccount
        fields = ["connect_instance_id", "connect_contact_flow_id", "attributes"]
        field_classes: ClassVar[Any] = {"attributes": AttributesField}
        widgets = {
            "connect_instance_id": forms.TextInput(attrs=BOX),
            "connect_contact_flow_id": forms.TextInput(attrs=BOX),
            "attributes": forms.Textarea(attrs={**BOX, "rows": 3}),
        }


class HoursForm(forms.ModelForm[ChannelAccount]):
    class Meta:
        model = ChannelAccount
        fields = [
            "hours",
            "closed_starts_chat",
            "default_language",
            "queue_delay_minutes",
            "holding_reply",
            "pause_reply",
            "when_uncertain",
        ]
        widgets = {
            "hours": forms.Select(attrs=BOX),
            "closed_starts_chat": forms.CheckboxInput(attrs={"class": " ".join(CHECKBOX_CLASSES)}),
            "default_language": forms.TextInput(attrs=BOX),
            "queue_delay_minutes": forms.NumberInput(attrs=BOX),
            "holding_reply": forms.Textarea(attrs={**BOX, "rows": 2}),
            "pause_reply": forms.Textarea(attrs={**BOX, "rows": 2}),
            "when_uncertain": forms.Select(attrs=BOX),
        }
