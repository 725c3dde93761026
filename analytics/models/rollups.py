"""Sums by hour and day, the facts of each chat that they are made of, and what is out of date."""

from __future__ import annotations

from django.db import models

from analytics.measures import MEASURES


class Change(models.Model):
    """A chat, or what a conversation has outside any chat, changed: its numbers are out of date.

    Written by triggers of the database in the transaction of the change itself, so none is missed, whoever wrote.
    """

    id = models.BigAutoField(primary_key=True)
    conversation_id = models.UUIDField()
    contact_id = models.UUIDField(null=True, blank=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"change {self.id}"


class ChatFact(models.Model):
    """What one chat (or a conversation's messages outside any chat) adds to the rollups, and its own numbers.

    `counted` is exactly what was added: when the chat changes, it is taken away again and the new one added.
    """

    unit = models.UUIDField(primary_key=True, help_text="The contact's id; the conversation's outside any chat.")
    conversation_id = models.UUIDField()
    contact_id = models.UUIDField(null=True, blank=True)
    account_id = models.UUIDField()
    queue = models.CharField(max_length=256, blank=True)
    agent = models.CharField(max_length=256, blank=True)
    language = models.CharField(max_length=16, blank=True)
    started_at = models.DateTimeField()
    last_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    rating = models.IntegerField(null=True, blank=True)
    lowest = models.IntegerField(null=True, blank=True)
    lowest_message = models.UUIDField(null=True, blank=True)
    shift = models.IntegerField(null=True, blank=True)
    scored = models.IntegerField(default=0)
    first_response_ms = models.BigIntegerField(null=True, blank=True)
    handle_ms = models.BigIntegerField(null=True, blank=True)
    waiting_since = models.DateTimeField(null=True, blank=True, help_text="The oldest word that has no answer.")
    outcome = models.CharField(max_length=16, blank=True, help_text="handled, abandoned, deflected, contained or open.")
    counted = models.BinaryField()

    class Meta:
        indexes = [
            models.Index(fields=["started_at"], name="fact_by_start"),
            models.Index(fields=["last_at"], name="fact_by_end"),
            models.Index(fields=["rating"], name="fact_open", condition=models.Q(ended_at=None)),
            # The order of lists of chats, the lowest rated first.
            models.Index(models.F("rating").asc(nulls_last=True), models.F("started_at").desc(), name="fact_by_rating"),
        ]

    def __str__(self) -> str:
        return f"facts of {self.unit}"


class Rollup(models.Model):
    """Sums of an hour or a day, of one account and one value of one facet. See measures.py for what each sum means."""

    class Grain(models.TextChoices):
        HOUR = "h"
        DAY = "d"

    class Facet(models.TextChoices):
        ACCOUNT = "account"
        QUEUE = "queue"
        AGENT = "agent"
        LANGUAGE = "language"
        PHRASE = "phrase"
        CODE = "code"

    id = models.BigAutoField(primary_key=True)
    grain = models.CharField(max_length=1, choices=Grain.choices)
    facet = models.CharField(max_length=8, choices=Facet.choices)
    at = models.DateTimeField()
    account_id = models.UUIDField()
    value = models.CharField(max_length=256, blank=True)

    class Meta:
        permissions = [("see_agents", "May see dashboards agent by agent")]
        constraints = [
            models.UniqueConstraint(fields=["grain", "facet", "at", "account_id", "value"], name="rollup_is_unique")
        ]

    def __str__(self) -> str:
        return f"{self.facet} {self.at:%Y-%m-%d %H}"


for _name in MEASURES:
    Rollup.add_to_class(_name, models.BigIntegerField(default=0, db_default=0))


class RollupBin(models.Model):
    """One bin of one digest of a rollup: how many durations fell into it."""

    rollup = models.ForeignKey(Rollup, on_delete=models.CASCADE, related_name="bins", db_index=False)
    digest = models.SmallIntegerField()
    bin = models.SmallIntegerField()
    count = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rollup", "digest", "bin"], name="bin_is_unique")]

    def __str__(self) -> str:
        return f"bin {self.bin}"


class RollupState(models.Model):
    """How fresh the rollups are, in one row."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    zone = models.CharField(max_length=64)
    fresh_at = models.DateTimeField(null=True, blank=True, help_text="Everything that was committed before is counted.")
    version = models.BigIntegerField(default=0)
    rebuild_of = models.BigIntegerField(default=0, help_text="Chats of the rebuild that is under way; 0: none is.")

    def __str__(self) -> str:
        return f"rollups in {self.zone}"
