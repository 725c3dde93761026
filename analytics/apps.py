from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings


class AnalyticsConfig(AppConfig):
    name = "analytics"
    verbose_name = "Analytics"

    def ready(self) -> None:
        from analytics.bridge_hooks import Scores, forget_words, last_sentiment
        from analytics.receivers import refresh_soon
        from analytics.rollups import office_hours
        from connect_bridge.customer_page.sentiment import install
        from connect_bridge.privacy.hooks import erasers
        from connect_bridge.relay.customer_context import more_context
        from connect_bridge.signals import contact_ended, message_settled, message_stored

        office_hours.parse(settings.OFFICE_HOURS, settings.TIME_ZONE)  # says now, not on somebody's page, what is wrong
        for signal in (message_stored, message_settled, contact_ended):
            signal.connect(refresh_soon, dispatch_uid=f"analytics.{id(signal)}")
        install(Scores())
        more_context.append(last_sentiment)
        erasers.append(forget_words)
