"""Middleware: whom a response is for, which decides what it shows of persons; and that no cache keeps a copy."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from people.privacy import set_viewer

GetResponse = Callable[[HttpRequest], HttpResponse]

#: Responses without anything about persons: our own files, and the texts of the admin's scripts.
KEPT = ("/static/", "/admin/jsi18n/")


class Viewing:
    """Remembers the viewer while a response is made; see `people.privacy.current_sight`."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        set_viewer(request)
        try:
            response = self._get_response(request)
        finally:
            set_viewer(None)
        if not request.path.startswith(KEPT) and "no-store" not in response.get("Cache-Control", ""):
            response["Cache-Control"] = "no-store, private"
        return response
