from __future__ import annotations

from django.urls import path

from channels_app.webhooks.views import WebhookView

# Everything below it, so that no path, and no missing slash, is ever answered with a page or a redirect.
urlpatterns = [path("<path:rest>", WebhookView.as_view()), path("", WebhookView.as_view())]
