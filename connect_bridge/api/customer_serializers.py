"""What the API says and takes of customers and their identities."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from rest_framework import serializers

from connect_bridge.api.verbs import Strict, reason_field
from customers.models import Customer, Identity, IdentityAlias, IdentityChange
from people.serializer_fields import ErrorText, Facts, Name, Number

#: Facts become contact attributes, so their names are of Connect's alphabet.
_FACT = re.compile(r"[A-Za-z0-9_-]{1,64}")
MOST_FACTS, LONGEST_FACT = 50, 500


class AliasSerializer(serializers.ModelSerializer[IdentityAlias]):
    value = Number()

    class Meta:
        model = IdentityAlias
        fields: ClassVar[Any] = ["type", "value", "created_at"]


class ChangeSerializer(serializers.ModelSerializer[IdentityChange]):
    old = Name()
    new = Name()

    class Meta:
        model = IdentityChange
        fields: ClassVar[Any] = ["field", "old", "new", "source", "at"]


class IdentitySerializer(serializers.ModelSerializer[Identity]):
    external_id = Number()
    display_name = Name()
    handle = Name()
    picture_url = Name()
    aliases = AliasSerializer(many=True, read_only=True)
    changes = ChangeSerializer(many=True, read_only=True)

    class Meta:
        model = Identity
        fields: ClassVar[Any] = [
            "id",
            "customer",
            "home",
            "kind",
            "issuer",
            "external_id",
            "display_name",
            "handle",
            "picture_url",
            "locale",
            "created_at",
            "last_seen_at",
            "suppressed_at",
            "suppressed_by",
            "aliases",
            "changes",
        ]


class BriefIdentitySerializer(serializers.ModelSerializer[Identity]):
    external_id = Number()
    display_name = Name()
    handle = Name()

    class Meta:
        model = Identity
        fields: ClassVar[Any] = ["id", "kind", "issuer", "external_id", "display_name", "handle", "last_seen_at"]


class CustomerSerializer(serializers.ModelSerializer[Customer]):
    """`merged_into` names the customer under whose id this person is shown now; its `identities` are all of theirs."""

    identities = BriefIdentitySerializer(many=True, read_only=True)
    display_name = Name()
    facts = Facts()

    class Meta:
        model = Customer
        fields: ClassVar[Any] = [
            "id",
            "display_name",
            "locale",
            "preferred_channel",
            "facts",
            "merged_into",
            "created_at",
            "erased_at",
            "identities",
        ]


class CustomerChange(Strict):
    """What may be changed of a customer. `facts` replaces all that were told before; agents see them."""

    display_name = serializers.CharField(max_length=256, required=False)
    locale = serializers.CharField(max_length=35, required=False, allow_blank=True)
    preferred_channel = serializers.CharField(max_length=32, required=False, allow_blank=True)
    facts = serializers.DictField(
        child=serializers.CharField(max_length=LONGEST_FACT, allow_blank=True), required=False
    )

    def validate_facts(self, facts: dict[str, str]) -> dict[str, str]:
        if len(facts) > MOST_FACTS:
            raise serializers.ValidationError(f"At most {MOST_FACTS} facts.")
        for name in facts:
            if not _FACT.fullmatch(name):
                raise serializers.ValidationError(f"{name[:64]!r}: names are letters, digits, - and _, 64 at most.")
        return facts

    def validate(self, attrs: Any) -> Any:
        if not attrs:
            raise serializers.ValidationError("Nothing to change.")
        return attrs


class EraseAsked(Strict):
    reason = reason_field()


class ErasedSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField(help_text="Of the record of this erasure.")
    counts = serializers.DictField(child=serializers.IntegerField(), help_text="Rows that were emptied, by what.")


class PointSerializer(serializers.Serializer[Any]):
    weight = serializers.FloatField()
    text = ErrorText()


class SuggestionSerializer(serializers.Serializer[Any]):
    customer = serializers.UUIDField()
    name = Name()
    kinds = serializers.ListField(child=serializers.CharField())
    score = serializers.FloatField()
    speaks_for = PointSerializer(many=True)
    speaks_against = PointSerializer(many=True)
