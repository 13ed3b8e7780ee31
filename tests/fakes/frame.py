"""A vendor's app that shows pages of the connector in a frame."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit


class Helpdesk(BaseHTTPRequestHandler):
    """The vendor's app, whose page shows in a frame what it is asked for."""

    def do_GET(self) -> None:
        (link,) = parse_qs(urlsplit(self.path).query).get("frame", [""])
        body = f'<!doctype html><iframe src="{escape(link)}" width="900" height="700"></iframe>'.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def framing() -> Iterator[str]:
    """Serve it, and give its origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Helpdesk) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def framed(origin: str, link: str) -> str:
    """Return the address of the page that shows a link in a frame."""
    return f"{origin}/?{urlencode({'frame': link})}"
