"""Admin pages of what accounts share or say by themselves: opening hours, automatic replies, rules by words."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar
from zoneinfo import ZoneInfo, available_timezones

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from unfold.widgets import SELECT_CLASSES

from channels_app.account_fields import ENCRYPTED, encrypted_at
from channels_app.accounts.forms import BOX, AttributesField
from channels_app.accounts.opening_hours import DAYS, Hours, opening, read_spans, write_spans
from channels_app.admin.filters import account_filter
from channels_app.models import AutoReply, BusinessHours, ChannelAccount, Holiday, RoutingRule
from people.admin_base import TabularInline
from people.history_admin import AuditedAdmin

M = TypeVar("M", bound=Model)

#: Zones that are names of places; the others are former names, and offsets that know no summer.
ZONES = [*sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith("Etc/")), "UTC"]


def hours_of(row: BusinessHours) -> Hours:
    """Return the row as what can be asked whether it is open."""
    holidays = {holiday.day.isoformat(): holiday.spans for holiday in row.holidays.all()}
    return Hours(zone=row.zone, week=row.week, holidays=holidays)


def now_of(row: BusinessHours) -> str:
    """Return in words whether it is open now, and what comes next."""
    opened = opening(hours_of(row), timezone.now())
    state = "Open" if opened.open else "Closed"
    if opened.until is None:
        return f"{state}. It never changes."
    local = timezone.localtime(opened.until, ZoneInfo(row.zone))
    verb = "closes" if opened.open else "opens"
    return f"{state} now; {verb} {date_format(local, 'D j M, H:i')} ({row.zone})."


class SpansField(forms.CharField):
    """Spans of a day, as people write them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, widget=forms.TextInput(attrs={**BOX, "placeholder": "closed"}), **options)

    def prepare_value(self, value: Any) -> Any:
        return write_spans(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        if isinstance(value, list):
            return value
        try:
            return read_spans(value or "")
        except ValueError as fault:
            raise forms.ValidationError(str(fault)) from None

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(data) != (initial or []))
        except forms.ValidationError:
            return True


class HoursForm(forms.ModelForm[BusinessHours]):
    """A week, a field for each day."""

    zone = forms.ChoiceField(
        choices=[(zone, zone) for zone in ZONES],
        initial="UTC",
        widget=forms.Select(attrs={"class": " ".join(SELECT_CLASSES)}),
        help_text="Summer time is minded.",
    )
    monday = SpansField(help_text="As in 09:00-12:30, 13:30-18:00. Empty: closed.")
    tuesday = SpansField()
    wednesday = SpansField()
    thursday = SpansField()
    friday = SpansField()
    saturday = SpansField()
    sunday = SpansField()

    class Meta:
        model = BusinessHours
        fields = ["name", "zone"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for day in DAYS:
            self.fields[day].initial = (self.instance.week or {}).get(day, [])

    def save(self, commit: bool = True) -> BusinessHours:  # noqa: FBT001, FBT002 - Django's signature
        self.instance.week = {day: spans for day in DAYS if (spans := self.cleaned_data[day])}
        return super().save(commit=commit)


class HolidayForm(forms.ModelForm[Holiday]):
    """One line of a table: the column's head names a field to the eye only, so each says itself what it is."""

    day = forms.DateField(widget=forms.DateInput(attrs={**BOX, "type": "date"}, format="%Y-%m-%d"))
    spans = SpansField(label="open meanwhile")

    class Meta:
        model = Holiday
        fields = ["day", "name", "spans"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.widget.attrs["aria-label"] = f"Holiday: {field.label or name}"


class Holidays(TabularInline[Holiday, BusinessHours]):
    model = Holiday
    form = HolidayForm
    extra = 1


@admin.register(BusinessHours)
class BusinessHoursAdmin(AuditedAdmin[BusinessHours]):
    form = HoursForm
    behind_the_form = ("week",)
    inlines = [Holidays]
    list_display = ["name", "zone", "now"]
    fieldsets = [(None, {"fields": ["name", "zone", "now"]}), ("Week", {"fields": list(DAYS)})]
    readonly_fields = ["now"]
    search_fields = ["name"]

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("holidays")

    @admin.display(description="now")
    def now(self, row: BusinessHours) -> str:
        return now_of(row) if row.pk else "-"


class OfAccountAdmin(AuditedAdmin[M]):
    """Rows of an account, which is named on their pages: its credentials stay in the database."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[M]:
        return super().get_queryset(request).defer(*encrypted_at("account"))

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if db_field.related_model is ChannelAccount:
            options["queryset"] = ChannelAccount.objects.defer(*ENCRYPTED).order_by("kind", "name")
        return super().formfield_for_foreignkey(db_field, request, **options)


@admin.register(AutoReply)
class AutoReplyAdmin(OfAccountAdmin[AutoReply]):
    list_display = ["account", "occasion", "language", "text"]
    list_filter = [account_filter("account"), "occasion", "language"]
    list_select_related = ["account"]
    search_fields = ["text"]
    fields = ["account", "occasion", "language", "text"]


class RuleForm(forms.ModelForm[RoutingRule]):
    class Meta:
        model = RoutingRule
        fields = ["account", "position", "words", "connect_contact_flow_id", "attributes", "enabled"]
        field_classes: ClassVar[Any] = {"attributes": AttributesField}

    def clean_words(self) -> str:
        words = [word.strip() for word in self.cleaned_data["words"].split(",")]
        if not any(words):
            raise forms.ValidationError("Give at least one word.")
        return ", ".join(word for word in words if word)


@admin.register(RoutingRule)
class RoutingRuleAdmin(OfAccountAdmin[RoutingRule]):
    form = RuleForm
    list_display = ["account", "position", "words", "connect_contact_flow_id", "attributes", "enabled"]
    list_display_links = ["words"]
    list_filter = [account_filter("account"), "enabled"]
    list_select_related = ["account"]
    search_fields = ["words"]
