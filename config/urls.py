from __future__ import annotations

from allauth.account.decorators import secure_admin_login
from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from analytics.connect_events.webhook import contact_events
from analytics.dashboards import api as metrics_api
from connect_bridge.api import customers, views
from connect_bridge.customer_page.agent_page import agent_page
from connect_bridge.operations.stuck_views import stuck_page
from people.token_views import end_page, make_page, tokens_page
from people.views import audit_page, nothing_here

admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign] # as allauth documents
admin.site.site_header = admin.site.site_title = "Parley"

#: A simulated world, where one is configured, has a page of its own; outside the sandbox there is none.
sandbox: list[URLPattern | URLResolver] = (
    [path("sandbox/", include("sandbox.urls"))] if settings.SANDBOX_WORLD_URL else []
)
front_door = "sandbox:page" if settings.SANDBOX_WORLD_URL else "admin:index"

handler400 = "channels_app.webhooks.views.bad_host"
handler429 = "people.limits.too_many"

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(pattern_name=front_door)),
    path("-/", include("connect_bridge.operations.health")),
    path("webhooks/", include("channels_app.urls")),
    path("admin/stuck/", admin.site.admin_view(stuck_page), name="stuck"),
    path("accounts/tokens/", tokens_page, name="api-tokens"),
    path("accounts/tokens/make/", make_page, name="api-token-make"),
    path("accounts/tokens/<int:pk>/end/", end_page, name="api-token-end"),
    path("accounts/", include("allauth.urls")),
    path("admin/audit/", admin.site.admin_view(audit_page), name="audit"),
    path("admin/autocomplete/", nothing_here, name="autocomplete"),
    path("admin/channels/", include("connect_bridge.setup.urls")),
    path("admin/events/", include("connect_bridge.event_log.urls")),
    path("admin/", admin.site.urls),
    path("dashboards/", include("analytics.urls")),
    path("connect/contact-events/", contact_events, name="contact-events"),
    path("api/v1/", include(metrics_api.urls())),
    path("api/v1/", include(views.urls())),
    path("api/v1/", include(customers.urls())),
    path("customers/", include("connect_bridge.customer_page.urls")),
    path("agent/<str:token>/", agent_page, name="agent-page"),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    *sandbox,
]
