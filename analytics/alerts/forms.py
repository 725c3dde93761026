"""Forms of alerts and reports: limits in people's units, addresses one a line."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.http import QueryDict
from django.utils import timezone

from analytics.alerts.metrics import METRICS
from analytics.alerts.outgoing_addresses import Forbidden, check_address
from analytics.models import AlertRule, Report
from analytics.queries.filters import BadFilter, parse
from analytics.rollups import office_hours

#: Unit → how many of it a person's number is: per cent, points, seconds.
FACTORS = {"share": 0.01, "points": 0.01, "ms": 1000.0, "count": 1.0}
UNITS = {"share": "%", "points": "points, -100 to +100", "ms": "seconds", "count": "messages"}
MOST_ADDRESSES = 20


class _Filtered(forms.ModelForm):  # type: ignore[type-arg] # two models
    """A form with filters and addresses."""

    def clean_query(self) -> str:
        query = str(self.cleaned_data["query"]).lstrip("?").strip()
        try:
            return parse(QueryDict(query).dict(), timezone.now()).query()
        except BadFilter as wrong:
            raise ValidationError(f"{wrong.field}: {wrong}") from None

    def clean_emails(self) -> str:
        addresses = str(self.cleaned_data["emails"]).replace(",", " ").split()
        if len(addresses) > MOST_ADDRESSES:
            raise ValidationError(f"At most {MOST_ADDRESSES} addresses.")
        for address in addresses:
            validate_email(address)
        return "\n".join(addresses)


class AlertForm(_Filtered):
    """A rule. `threshold` and `clears_at` are in the metric's own unit for people."""

    metric = forms.ChoiceField(
        choices=[(key, f"{metric.title} ({UNITS[metric.unit]})") for key, metric in METRICS.items()]
    )

    webhook_url = forms.URLField(label="Webhook", assume_scheme="https", max_length=500, required=False)

    class Meta:
        model = AlertRule
        fields = (
            "name",
            "metric",
            "side",
            "threshold",
            "clears_at",
            "minimum",
            "hours",
            "evaluations",
            "deviations",
            "query",
            "emails",
            "webhook_url",
            "sns_topic",
            "tell_no_data",
            "enabled",
        )
        labels = {
            "side": "Fires",
            "threshold": "this bound, in the metric's unit",
            "clears_at": "Clears at",
            "minimum": "From at least",
            "hours": "Looks at the last hours",
            "evaluations": "So many minutes in a row",
            "deviations": "Robust deviations",
            "query": "Filters",
            "sns_topic": "SNS topic (ARN)",
            "tell_no_data": "Also tell when there is no data",
        }
        widgets = {"emails": forms.Textarea({"rows": 3}), "query": forms.TextInput({"placeholder": "channel=whatsapp"})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.metric in METRICS and not self.is_bound:
            factor = FACTORS[METRICS[self.instance.metric].unit]
            for name in ("threshold", "clears_at"):
                value = getattr(self.instance, name)
                self.initial[name] = None if value is None else round(value / factor, 6)

    def clean_hours(self) -> int:
        return self._between("hours", 1, 24)

    def clean_evaluations(self) -> int:
        return self._between("evaluations", 1, 60)

    def clean_minimum(self) -> int:
        return self._between("minimum", 0, 1_000_000)

    def clean_deviations(self) -> float:
        value = float(self.cleaned_data["deviations"])
        if not 0 <= value <= 20:  # noqa: PLR2004 - beyond that nothing fires
            raise ValidationError("Give a number from 0 (any value) to 20.")
        return value

    def clean_webhook_url(self) -> str:
        url = str(self.cleaned_data["webhook_url"] or "")
        if url:
            try:
                check_address(url)
            except Forbidden as refused:
                raise ValidationError(str(refused)) from None
        return url

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        metric = METRICS.get(cleaned.get("metric", ""))
        if metric is None or cleaned.get("threshold") is None:
            return cleaned
        for name in ("threshold", "clears_at"):
            if cleaned.get(name) is not None:
                cleaned[name] *= FACTORS[metric.unit]
        clears, threshold = cleaned.get("clears_at"), cleaned["threshold"]
        side = 1 if cleaned.get("side") == AlertRule.Side.ABOVE else -1
        if clears is not None and side * (clears - threshold) > 0:
            self.add_error("clears_at", "It must lie on the good side of the bound.")
        if not any(cleaned.get(name) for name in ("emails", "webhook_url", "sns_topic")):
            self.add_error("emails", "Give at least one way to tell somebody: e-mail, webhook or SNS.")
        return cleaned

    def _between(self, name: str, least: int, most: int) -> int:
        value = int(self.cleaned_data[name])
        if not least <= value <= most:
            raise ValidationError(f"Give a number from {least} to {most}.")
        return value


class ReportForm(_Filtered):
    """Numbers by e-mail."""

    weekday = forms.TypedChoiceField(
        choices=[("", "every day"), *((n, name.capitalize()) for n, name in enumerate(office_hours.WEEKDAYS))],
        coerce=int,
        empty_value=None,
        required=False,
    )
    hour = forms.TypedChoiceField(choices=[(hour, f"{hour:02}:00") for hour in range(24)], coerce=int, initial=7)

    class Meta:
        model = Report
        fields = ("name", "weekday", "hour", "query", "emails")
        labels = {"query": "Filters"}
        widgets = {"emails": forms.Textarea({"rows": 3})}
