"""Where an account's chats go, and what customers are told meanwhile: the forms of two steps of the set-up."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db import models
from unfold.widgets import CHECKBOX_CLASSES

from channels_app.account_fields import AccountField, Step, in_step
from channels_app.accounts.forms import BOX, AttributesField
from channels_app.models import ChannelAccount

StepForm = type[forms.ModelForm[ChannelAccount]]


def form_of(step: Step) -> StepForm:
    """Return the form for what a step asks of an account, dressed as Unfold's are."""
    fields = in_step(step)
    form: StepForm = forms.modelform_factory(
        ChannelAccount,
        fields=[field.name for field in fields],
        widgets={field.name: _widget(field) for field in fields},
        field_classes={"attributes": AttributesField},
    )
    return form


def _widget(field: AccountField) -> forms.Widget:
    column: Any = ChannelAccount._meta.get_field(field.name)
    if isinstance(column, models.BooleanField):
        return forms.CheckboxInput(attrs={"class": " ".join(CHECKBOX_CLASSES)})
    if column.choices or column.is_relation:
        return forms.Select(attrs=BOX)
    if field.lines > 1:
        return forms.Textarea(attrs={**BOX, "rows": field.lines})
    return (forms.NumberInput if isinstance(column, models.IntegerField) else forms.TextInput)(attrs=BOX)


RouteForm, HoursForm = form_of(Step.ROUTE), form_of(Step.HOURS)
