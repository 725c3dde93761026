"""Where an account's chats go, and what customers are told meanwhile: the forms of two steps of the set-up."""

from __future__ import annotations

from django import forms

from channels_app.forms import BOX, clean_attributes
from channels_app.models import ChannelAccount


class RouteForm(forms.ModelForm[ChannelAccount]):
    class Meta:
        model = ChannelAccount
        fields = ["connect_instance_id", "connect_contact_flow_id", "attributes"]
        widgets = {
            "connect_instance_id": forms.TextInput(attrs=BOX),
            "connect_contact_flow_id": forms.TextInput(attrs=BOX),
            "attributes": forms.Textarea(attrs={**BOX, "rows": 3}),
        }

    def clean_attributes(self) -> dict[str, str]:
        return clean_attributes(self.cleaned_data["attributes"])


class HoursForm(forms.ModelForm[ChannelAccount]):
    class Meta:
        model = ChannelAccount
        fields = ["holding_reply", "pause_reply", "when_uncertain"]
        widgets = {
            "holding_reply": forms.Textarea(attrs={**BOX, "rows": 2}),
            "pause_reply": forms.Textarea(attrs={**BOX, "rows": 2}),
            "when_uncertain": forms.Select(attrs=BOX),
        }
