"""For whom a page is made, as far as what it says of persons goes, and that nobody keeps a copy of it."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from people.privacy import set_viewer

Next = Callable[[HttpRequest], HttpResponse]

#: What says nothing of anybody: our own files, and the words of the admin's scripts.
KEPT = ("/static/", "/admin/jsi18n/")


class Viewing:
    """Lets whatever is written of a person know who will read it; see `people.privacy.current_sight`."""

    def __init__(self, get_response: Next) -> None:
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
