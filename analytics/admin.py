"""What is on record about the dashboards: exports, and what the sentiment engine was asked and costs."""

from __future__ import annotations

from django.contrib import admin

from analytics.models import Export, Spending
from analytics.sentiment import cost_ledger
from people.admin_base import ReadOnlyAdmin


@admin.register(Export)
class ExportAdmin(ReadOnlyAdmin[Export]):
    list_display = ["at", "by", "what", "query"]
    fields = ["at", "by", "what", "query"]
    list_filter = ["at", "by"]
    search_fields = ["by", "what"]
    ordering = ["-at"]


@admin.register(Spending)
class SpendingAdmin(ReadOnlyAdmin[Spending]):
    list_display = ["day", "operation", "calls", "documents", "reused", "throttled", "units", "cost"]
    fields = ["day", "operation", "calls", "documents", "reused", "throttled", "units", "cost"]
    list_filter = ["operation", "day"]
    ordering = ["-day", "operation"]

    @admin.display(description="cost")
    def cost(self, spending: Spending) -> str:
        return f"${cost_ledger.cost(spending.units):,.4f}"
