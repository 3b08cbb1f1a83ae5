"""Servers on the loopback interface, for tests of the real clients."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Site(Protocol):
    """What a server shows."""

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        """Answer the request that `handler` holds."""


@contextmanager
def serve(site: Site) -> Iterator[str]:
    """The address of a server on the loopback interface that answers with `site`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.answer(self)

        def do_HEAD(self) -> None:
            site.answer(self)

        def do_POST(self) -> None:
            site.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output clean."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def send(
    handler: http.server.BaseHTTPRequestHandler,
    content: bytes,
    kind: str = "application/octet-stream",
    *,
    status: int = 200,
    length: int | None = None,
    headers: dict[str, str] | None = None,
) -> None:
    """Send a reply; `length` is what its header says if that is not the truth."""
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(length or len(content)))
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(content)
