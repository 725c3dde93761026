"""How the admin looks: the settings of Unfold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy

from config.admin_navigation import sidebar, tabs


def _file(path: str) -> Callable[[HttpRequest], str]:
    return lambda _request: static(path)


def _shades(hue: int, chroma: Iterable[float], light: Iterable[float]) -> Iterator[tuple[str, str]]:
    names = ("50", "100", "200", "300", "400", "500", "600", "700", "800", "900", "950")
    for name, lightness, saturation in zip(names, light, chroma, strict=True):
        yield name, f"oklch({lightness}% {saturation} {hue})"


#: The teal of Parley's mark.
TEAL = dict(
    _shades(
        188,
        (0.012, 0.028, 0.05, 0.075, 0.095, 0.1, 0.09, 0.08, 0.068, 0.055, 0.04),
        (97.8, 94.8, 89.5, 82, 72, 60, 49, 43, 37, 32, 24),
    )
)
UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Parley",
    "SITE_HEADER": "Parley",
    "SITE_SUBHEADER": "Messengers ↔ Amazon Connect",
    "SITE_SYMBOL": "forum",
    "SITE_URL": None,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _file("people/icon.svg")}],
    "SHOW_BACK_BUTTON": False,
    "BORDER_RADIUS": "6px",
    "COLORS": {"primary": TEAL},
    "DASHBOARD_CALLBACK": "config.admin_navigation.overview",
    "ACCOUNT": {
        "navigation": [
            {"title": "Password", "link": reverse_lazy("account_change_password")},
            {"title": "Second factor", "link": reverse_lazy("mfa_index")},
            {"title": "Sessions", "link": reverse_lazy("usersessions_list")},
            {"title": "API tokens", "link": reverse_lazy("api-tokens")},
        ]
    },
    "ENVIRONMENT": "config.admin_navigation.environment",
    "STYLES": [_file("people/admin.css")],
    "SIDEBAR": {"show_search": True, "command_search": True, "navigation": sidebar},
    "TABS": tabs,
}
