"""What the API tells and takes of customers. Whoever writes something that we do not know is told so."""

from __future__ import annotations

import re
from typing import Any, ClassVar, cast

from rest_framework import serializers

from customers.codes import LONGEST
from customers.models import Consent, Customer, Identity, IdentityAlias, IdentityChange, LinkCode, Merge
from people.shapes import Evidence, Facts, Name, Number, Told
from people.typed import is_storable

#: Facts become contact attributes, so their names are of Connect's alphabet.
_FACT = re.compile(r"[A-Za-z0-9_-]{1,64}")
MOST_FACTS, LONGEST_FACT = 50, 500


class Strict(serializers.Serializer[Any]):
    """Takes the fields that it declares and refuses any other by name."""

    def to_internal_value(self, data: Any) -> Any:
        writable = {name for name, field in self.fields.items() if not field.read_only}
        if unknown := sorted(set(data) - writable if isinstance(data, dict) or hasattr(data, "keys") else ()):
            offered = f"Known are: {', '.join(sorted(writable))}."
            raise serializers.ValidationError({name: [f"Unknown field. {offered}"] for name in unknown})
        return super().to_internal_value(data)


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


class MergeSerializer(serializers.ModelSerializer[Merge]):
    evidence = Evidence()
    customers = serializers.SerializerMethodField()

    class Meta:
        model = Merge
        fields: ClassVar[Any] = [
            "id",
            "customers",
            "method",
            "evidence",
            "reason",
            "made_at",
            "made_by",
            "undone_at",
            "undone_by",
            "undo_reason",
        ]

    def get_customers(self, merge: Merge) -> list[str]:
        return [str(merge.low_id), str(merge.high_id)]


def _reason() -> serializers.CharField:
    return serializers.CharField(max_length=300, required=False, allow_blank=True, default="")


class MergeAsked(Strict):
    """Whom to merge with, and why."""

    other = serializers.UUIDField(help_text="The other customer's id.")
    reason = _reason()


class UndoAsked(Strict):
    reason = _reason()
    keep_apart = serializers.BooleanField(default=True, help_text="Never merge or suggest these two by itself again.")


class EraseAsked(Strict):
    reason = _reason()


class ErasedSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField(help_text="Of the record of this erasure.")
    counts = serializers.DictField(child=serializers.IntegerField(), help_text="Rows that were emptied, by what.")


class Named(Strict):
    """An identity as its messenger names it."""

    kind = serializers.CharField(max_length=32)
    issuer = serializers.CharField(max_length=128, required=False, allow_blank=True, default="")
    external_id = serializers.CharField(max_length=256)


class Assertion(Strict):
    """A trusted system's word that these identities are one person."""

    identities = serializers.ListField(child=Named(), min_length=2, max_length=20)
    system = serializers.CharField(max_length=64)
    reference = serializers.CharField(max_length=128, required=False, allow_blank=True, default="")


class LinkCodeSerializer(serializers.ModelSerializer[LinkCode]):
    class Meta:
        model = LinkCode
        fields: ClassVar[Any] = [
            "id",
            "form",
            "customer",
            "identity",
            "typed_by",
            "made_at",
            "made_by",
            "expires_at",
            "used_at",
            "used_by",
            "outcome",
            "merge",
        ]


class LinkCodeAsked(Strict):
    """A `link` code is for a customer, handed out on `identity` if one is named. `one_time` digits go to `identity`."""

    form = serializers.ChoiceField(choices=LinkCode.Form.choices, default=LinkCode.Form.LINK)
    customer = serializers.UUIDField(required=False)
    identity = serializers.UUIDField(required=False)
    typed_by = serializers.UUIDField(required=False, help_text="one_time: the identity that will type it.")
    greeting = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    lasts_seconds = serializers.IntegerField(min_value=60, max_value=int(LONGEST.total_seconds()), required=False)


class LinkSerializer(serializers.Serializer[Any]):
    account = serializers.UUIDField(source="account.pk")
    kind = serializers.CharField(source="account.kind")
    name = serializers.CharField(source="account.name")
    url = serializers.URLField()


class HandedOut(LinkCodeSerializer):
    """The code is told this once; afterwards only a digest of it is kept."""

    code = serializers.CharField(allow_null=True)
    links = LinkSerializer(many=True)

    class Meta(LinkCodeSerializer.Meta):
        fields: ClassVar[Any] = [*LinkCodeSerializer.Meta.fields, "code", "links"]


class ConsentSerializer(serializers.ModelSerializer[Consent]):
    customer = serializers.UUIDField(source="identity.customer_id")
    evidence = Evidence()

    class Meta:
        model = Consent
        fields: ClassVar[Any] = [
            "id",
            "customer",
            "identity",
            "purpose",
            "granted",
            "source",
            "topic",
            "evidence",
            "by",
            "at",
        ]


class ConsentAsked(Strict):
    """A decision of a customer's, for one identity or for all that they have on one channel."""

    identity = serializers.UUIDField(required=False)
    customer = serializers.UUIDField(required=False)
    channel = serializers.CharField(max_length=32, required=False, help_text="With `customer`: whatsapp, sms, …")
    purposes = serializers.ListField(
        child=serializers.ChoiceField(choices=Consent.Purpose.choices), min_length=1, max_length=len(Consent.Purpose)
    )
    granted = serializers.BooleanField()
    topic = serializers.CharField(max_length=64, required=False, allow_blank=True, default="")
    evidence = serializers.DictField(child=serializers.CharField(max_length=500), required=False, default=dict)

    def validate_evidence(self, evidence: dict[str, str]) -> dict[str, str]:
        if not is_storable(evidence):  # DRF looks at texts, not at their names
            raise serializers.ValidationError("A name holds a character that no text has: U+0000, or half of a pair.")
        return evidence

    def validate(self, attrs: Any) -> Any:
        if ("identity" in attrs) == ("customer" in attrs) or ("channel" in attrs and "customer" not in attrs):
            raise serializers.ValidationError("Name an identity, or a customer and a channel.")
        if "customer" in attrs and "channel" not in attrs:
            raise serializers.ValidationError({"channel": ["Needed together with a customer."]})
        return attrs


class PointSerializer(serializers.Serializer[Any]):
    weight = serializers.FloatField()
    text = Told()


class SuggestionSerializer(serializers.Serializer[Any]):
    customer = serializers.UUIDField()
    name = Name()
    kinds = serializers.ListField(child=serializers.CharField())
    score = serializers.FloatField()
    speaks_for = PointSerializer(many=True)
    speaks_against = PointSerializer(many=True)


class MergedSerializer(serializers.Serializer[Any]):
    customer = serializers.UUIDField(help_text="The id under which the person is shown now.")
    merge = serializers.UUIDField(allow_null=True, help_text="Undo it by this id; null if they were one already.")


class UndoneSerializer(serializers.Serializer[Any]):
    customers = serializers.ListField(child=serializers.UUIDField())


class RefusalSerializer(serializers.Serializer[Any]):
    error = serializers.CharField()
    detail = serializers.CharField()


def read(asked: type[Strict], data: Any) -> dict[str, Any]:
    """Return what a request says, or raise ValidationError."""
    serializer = asked(data=data)
    serializer.is_valid(raise_exception=True)
    return cast("dict[str, Any]", serializer.validated_data)
