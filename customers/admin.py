"""Admin pages of the people who write: to look at, not to edit."""

from __future__ import annotations

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html

from customers.evidence_admin import ApartAdmin, ConsentAdmin, LinkCodeAdmin, MergeAdmin, PrivacyRequestAdmin
from customers.models import Customer, Identity, IdentityAlias
from people.admin_base import ReadOnlyAdmin
from people.admin_html import link, masked_column, text_html
from people.privacy import Sight, current_sight, masked_id, masked_name

__all__ = [
    "ApartAdmin",
    "ConsentAdmin",
    "CustomerAdmin",
    "IdentityAdmin",
    "IdentityAliasAdmin",
    "LinkCodeAdmin",
    "MergeAdmin",
    "PrivacyRequestAdmin",
]


@admin.register(Customer)
class CustomerAdmin(ReadOnlyAdmin[Customer]):
    list_display = ["__str__", "locale", "created_at"]
    list_filter = ["created_at"]
    ordering = ["-created_at"]
    the_name = masked_column("display_name", masked_name)
    fields = ["id", "the_page", "the_name", "locale", "merged_into", "created_at", "erased_at", "see_also"]
    search_fields = ["id", "identities__id", "identities__external_id", "identities__handle", "display_name__icontains"]
    search_help_text = "An id, a handle or a part of the name."

    @admin.display(description="everything said")
    def the_page(self, customer: Customer) -> str:
        return format_html('<a href="{}">Open</a>', reverse("customers:page", args=[customer.pk]))


@admin.register(Identity)
class IdentityAdmin(ReadOnlyAdmin[Identity]):
    the_id, the_name, the_handle = (
        masked_column("external_id", masked_id),
        masked_column("display_name", masked_name),
        masked_column("handle", masked_name),
    )
    list_display = ["__str__", "kind", "issuer", "the_id", "the_handle", "last_seen_at"]
    list_filter = ["kind", "last_seen_at"]
    list_select_related = ["customer"]
    ordering = ["-created_at"]
    fields = [
        "id",
        "the_customer",
        "kind",
        "issuer",
        "the_id",
        "the_name",
        "the_handle",
        "the_picture",
        "locale",
        "created_at",
        "last_seen_at",
        "suppressed_at",
        "suppressed_by",
        "see_also",
    ]
    search_fields = ["id", "customer__id", "external_id", "handle", "aliases__value", "display_name__icontains"]
    search_help_text = "An id, a phone number, a handle or a part of the name."

    @admin.display(description="picture URL")
    def the_picture(self, identity: Identity) -> str:
        """Return the address as a text: it came from outside, and as a link it could be a script."""
        if not identity.picture_url or current_sight() is not Sight.FULL:
            return "-"
        return text_html(identity.picture_url)

    @admin.display(description="customer")
    def the_customer(self, identity: Identity) -> str:
        return link(identity.customer)


@admin.register(IdentityAlias)
class IdentityAliasAdmin(ReadOnlyAdmin[IdentityAlias]):
    the_value = masked_column("value", masked_id)
    list_display = ["the_value", "type", "kind", "issuer", "identity"]
    list_filter = ["kind", "type"]
    list_select_related = ["identity"]
    ordering = ["-id"]
    fields = ["the_identity", "kind", "issuer", "type", "the_value", "created_at"]
    search_fields = ["value", "identity__id"]
    search_help_text = "A phone number or another id of the person."

    @admin.display(description="identity")
    def the_identity(self, alias: IdentityAlias) -> str:
        return link(alias.identity)
