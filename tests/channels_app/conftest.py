from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.channels_app.providers.kit import Call, ProviderApi


@pytest.fixture
def api() -> Iterator[ProviderApi]:
    provider = ProviderApi()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            provider.calls.append(Call(self.command, parts.path, parse_qs(parts.query), headers, body))
            if provider.body is None:
                self.connection.close()
                return
            self.send_response(provider.status)
            for name, value in {**provider.headers, "Content-Length": str(len(provider.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(provider.body)

        do_GET = do_POST = _answer  # noqa: N815 - the library's names

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.base = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield provider
    server.shutdown()
    server.server_close()
    thread.join()
