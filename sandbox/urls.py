"""Where the sandbox page is. Included only when a simulated world is configured."""

from __future__ import annotations

from django.urls import path

from sandbox import views

app_name = "sandbox"
urlpatterns = [path("", views.page, name="page")]
