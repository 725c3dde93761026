"""Meta as it is set up for us: the Page's token and rights, the app's webhook, the Page's subscription.

Facts: developers.facebook.com, "debug_token", "App: subscriptions", "Page: subscribed_apps", "Access tokens".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from channels_app.declarations import Guide
from channels_app.errors import SendFailed
from channels_app.platforms import meta
from channels_app.platforms.meta_codes import NEW_TOKEN, SCOPES
from channels_app.toolkit.http import Http
from channels_app.toolkit.payloads import list_at, object_at, text_at
from channels_app.types import Checked, Secret

GUIDE = Guide(
    ready=(
        "A Meta app of type Business with the Messenger product, and its app secret (App settings, Basic).",
        "The Page's id, and to be an admin of it.",
        "A Page access token with pages_messaging and pages_manage_metadata. One of a system user does not expire.",
        "For customers who are not testers of the app: the app in live mode with advanced access.",
    ),
    paste="Parley can set both for you. By hand: app dashboard, Messenger, Webhooks: Callback URL, Verify token.",
    trap="The Page must be subscribed to the app besides: else Meta checks our address and never sends a message.",
)
_SUBSCRIBE = "Press “Register our address” in the step Webhook."


class Setup:
    """One Page's side of Meta, with the channel's config. `url` is our webhook.

    `fields` are what the Page must tell us, and what else we would like to hear.
    """

    def __init__(
        self, http: Http, graph: meta.Graph, config: Any, url: str, fields: tuple[Sequence[str], Sequence[str]]
    ) -> None:
        self._http, self._graph, self._config, self._url = http, graph, config, url
        self._needed, self._wanted = fields
        self._page: str = config.page_id

    def points(self) -> Mapping[str, Callable[[], Checked]]:
        return {
            "Page access token": self._token,
            "Permissions": self._permissions,
            "Webhook of the app": self._callback,
            "Page subscribed": self._subscription,
        }

    def register(self) -> str:
        """Set the app's callback for Pages, which Meta checks at once, and subscribe the Page to the app."""
        self._graph.with_fields(self._set_callback, self._needed, self._wanted)
        self._graph.subscribe(self._page, self._needed, self._wanted)
        return "Meta checked our address and took it; the Page is subscribed to the app."

    def _set_callback(self, fields: str) -> None:
        self._as_app().call(
            "POST",
            f"{self._app_id()}/subscriptions",
            object="page",
            callback_url=self._url,
            verify_token=self._config.verify_token.reveal(),
            fields=fields,
        )

    def _token(self) -> Checked:
        token = self._debugged()
        expires = _moment(token.get("expires_at"))
        if not token.get("is_valid"):
            said = text_at(token, "error", "message") or "Meta calls the token invalid."
            code = str(object_at(token, "error").get("code", ""))
            return Checked(ok=False, said=said, fix=NEW_TOKEN, code=code)
        page = text_at(token, "profile_id")
        if page and page != self._page:
            fix = "Enter the Page's own token, or the other Page's id."
            return Checked(ok=False, said="The token belongs to another Page.", fix=fix, ours=self._page, theirs=page)
        ends = f"It expires on {expires:%Y-%m-%d}." if expires else "It does not expire."
        return Checked(ok=True, said=f"Meta knows the token. {ends}", expires_at=expires)

    def _permissions(self) -> Checked:
        token = self._debugged()
        missing = [scope for scope in SCOPES if scope not in list_at(token, "scopes")]
        expires = _moment(token.get("data_access_expires_at"))
        if missing:
            said = f"The token lacks {' and '.join(missing)}."
            return Checked(ok=False, said=said, fix=NEW_TOKEN, ours=", ".join(SCOPES), expires_at=expires)
        return Checked(ok=True, said=f"The token has {' and '.join(SCOPES)}.", expires_at=expires)

    def _callback(self) -> Checked:
        rows = list_at(self._as_app().call("GET", f"{self._app_id()}/subscriptions"), "data")
        row = next((each for each in rows if text_at(each, "object") == "page"), None)
        theirs = text_at(row, "callback_url")
        if row is None or theirs != self._url:
            said = "The app sends what happens on Pages elsewhere." if theirs else "The app has no webhook for Pages."
            return Checked(ok=False, said=said, fix=_SUBSCRIBE, ours=self._url, theirs=theirs or "none")
        if not row.get("active"):
            return Checked(ok=False, said="Meta has switched the app's webhook off.", fix=_SUBSCRIBE)
        return Checked(ok=True, said="The app sends what happens on Pages to our address.")

    def _subscription(self) -> Checked:
        missing = self._graph.unsubscribed(self._page, self._needed)
        if missing:
            return Checked(ok=False, said=missing, fix=_SUBSCRIBE)
        return Checked(ok=True, said="The Page is subscribed to the app, with everything that is needed.")

    def _debugged(self) -> dict[str, Any]:
        token = self._config.page_access_token.reveal()
        return object_at(self._as_app().call("GET", "debug_token", input_token=token), "data")

    def _app_id(self) -> str:
        app = text_at(self._graph.call("GET", "app", fields="id"), "id")
        if not app:
            raise SendFailed("Meta does not say which app the token belongs to")
        return app

    def _as_app(self) -> meta.Graph:
        """Speak as the app, with the token "id|secret"."""
        secret: Secret = self._config.app_secret
        return meta.Graph(self._http, Secret(f"{self._app_id()}|{secret.reveal()}"), secret)


def _moment(stamp: Any) -> datetime | None:
    """Read Unix seconds; 0 is Meta's word for never."""
    return datetime.fromtimestamp(stamp, UTC) if isinstance(stamp, int) and 0 < stamp < 2**40 else None
