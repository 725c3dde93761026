"""Admin pages of what made customers one, of what they allow, and of what was exported or erased: to look at."""

from __future__ import annotations

from django.contrib import admin

from customers.models import Apart, Consent, LinkCode, Merge, PrivacyRequest
from people.admin_base import ReadOnlyAdmin
from people.admin_html import json_html, link, personal_json_html


@admin.register(Merge)
class MergeAdmin(ReadOnlyAdmin[Merge]):
    list_display = ["made_at", "method", "low", "high", "made_by", "undone_at", "undone_by"]
    list_filter = ["method", "made_at", "undone_at"]
    list_select_related = ["low", "high"]
    ordering = ["-made_at"]
    fields = [
        "id",
        "one",
        "other",
        "method",
        "the_evidence",
        "reason",
        "made_at",
        "made_by",
        "undone_at",
        "undone_by",
        "undo_reason",
    ]
    search_fields = ["id", "low__id", "high__id", "made_by"]
    search_help_text = "An id of the merge or of a customer, or who made it."

    @admin.display(description="one customer")
    def one(self, merge: Merge) -> str:
        return link(merge.low)

    @admin.display(description="and the other")
    def other(self, merge: Merge) -> str:
        return link(merge.high)

    @admin.display(description="evidence")
    def the_evidence(self, merge: Merge) -> str:
        return personal_json_html(merge.evidence)


@admin.register(Apart)
class ApartAdmin(ReadOnlyAdmin[Apart]):
    list_display = ["at", "by", "low", "high", "reason"]
    list_filter = ["at"]
    list_select_related = ["low", "high"]
    ordering = ["-at"]
    fields = ["at", "by", "low", "high", "reason"]
    search_fields = ["low__id", "high__id", "by"]
    search_help_text = "A customer's id, or who decided."


@admin.register(LinkCode)
class LinkCodeAdmin(ReadOnlyAdmin[LinkCode]):
    """The codes themselves are not kept, and their digests are nobody's business."""

    list_display = ["made_at", "form", "customer", "made_by", "expires_at", "used_at", "outcome"]
    list_filter = ["form", "outcome", "made_at"]
    list_select_related = ["customer"]
    ordering = ["-made_at"]
    fields = [
        "id",
        "form",
        "the_customer",
        "the_identity",
        "the_typist",
        "made_at",
        "made_by",
        "expires_at",
        "attempts",
        "used_at",
        "the_user",
        "outcome",
        "the_merge",
    ]
    search_fields = ["id", "customer__id", "identity__id", "used_by__id", "made_by"]
    search_help_text = "An id of the code, the customer or an identity, or who made it."

    @admin.display(description="customer")
    def the_customer(self, code: LinkCode) -> str:
        return link(code.customer)

    @admin.display(description="handed out on, or sent to")
    def the_identity(self, code: LinkCode) -> str:
        return link(code.identity)

    @admin.display(description="to be typed by")
    def the_typist(self, code: LinkCode) -> str:
        return link(code.typed_by)

    @admin.display(description="came in from")
    def the_user(self, code: LinkCode) -> str:
        return link(code.used_by)

    @admin.display(description="merge")
    def the_merge(self, code: LinkCode) -> str:
        return link(code.merge)


@admin.register(Consent)
class ConsentAdmin(ReadOnlyAdmin[Consent]):
    list_display = ["at", "identity", "purpose", "granted", "source", "topic", "by"]
    list_filter = ["purpose", "granted", "source", "at"]
    list_select_related = ["identity"]
    ordering = ["-at"]
    fields = ["the_identity", "purpose", "granted", "source", "topic", "the_evidence", "by", "at"]
    search_fields = ["identity__id", "identity__customer__id"]
    search_help_text = "An identity's or a customer's id."

    @admin.display(description="identity")
    def the_identity(self, consent: Consent) -> str:
        return link(consent.identity)

    @admin.display(description="evidence")
    def the_evidence(self, consent: Consent) -> str:
        return personal_json_html(consent.evidence)


@admin.register(PrivacyRequest)
class PrivacyRequestAdmin(ReadOnlyAdmin[PrivacyRequest]):
    list_display = ["at", "verb", "customer", "by", "reason"]
    list_filter = ["verb", "at"]
    list_select_related = ["customer"]
    ordering = ["-at"]
    fields = ["id", "verb", "the_customer", "at", "by", "reason", "the_counts"]
    search_fields = ["id", "customer__id", "by"]
    search_help_text = "An id of the request or the customer, or who made it."

    @admin.display(description="customer")
    def the_customer(self, request: PrivacyRequest) -> str:
        return link(request.customer)

    @admin.display(description="how much")
    def the_counts(self, request: PrivacyRequest) -> str:
        return json_html(request.counts)
