from __future__ import annotations

from django.apps import AppConfig


class AnalyticsConfig(AppConfig):
    name = "analytics"
    verbose_name = "Analytics"

    def ready(self) -> None:
        from analytics.forgetting import forget_words
        from analytics.insights import Moods
        from analytics.receivers import on_news
        from connect_bridge.erasers import erasers
        from connect_bridge.insights import install
        from connect_bridge.signals import contact_ended, message_settled, message_stored

        for news in (message_stored, message_settled, contact_ended):
            news.connect(on_news, dispatch_uid=f"analytics.{id(news)}")
        install(Moods())
        erasers.append(forget_words)
