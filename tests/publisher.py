"""A publisher's web server on this machine that misbehaves as it is told to."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = b"\n<!DOCTYPE html><html><body>Please log in</body></html>"


@dataclass
class Publisher:
    """What it holds, what it will do to the next requests, and what was asked of it."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    """Path from the top, without a slash: content."""
    etag: str | None = '"1"'
    headers: dict[str, str] = field(default_factory=dict)
    """Sent with every file."""
    next: list["Answer"] = field(default_factory=list)
    """One for each coming request; after these everything is served well."""
    asked: list[tuple[str, str | None, int]] = field(default_factory=list)
    """Path, Range header and body bytes sent, of each request for a file it holds."""
    ended: threading.Event = field(default_factory=threading.Event)


Answer = Callable[["Handler", Publisher], None]


class Handler(BaseHTTPRequestHandler):
    publisher: Publisher

    def do_GET(self) -> None:
        publisher = self.publisher
        answer = publisher.next.pop(0) if publisher.next else serve
        answer(self, publisher)

    def log_message(self, *_: object) -> None:
        pass

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        """Send a whole answer whose length is told."""
        self.send_response(status)
        for name, value in ({"Content_Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


def serve(handler: Handler, publisher: Publisher, most: int | None = None, deaf: bool = False):  # type: ignore[no-untyped-def]
    """Send the file, or the rest of it that was asked for; no more than `most` bytes of it."""
    path = handler.path.lstrip("/")
    if path not in publisher.files:
        handler.reply(404, PAGE, Content_Type="text/html")
        return
    content = publisher.files[path]
    asked = handler.headers["Range"]
    same = handler.headers["If-Range"] in (None, publisher.etag)
    start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and same and not deaf else 0
    if asked and start >= len(content):
        handler.reply(416, b"")
        return
    body = content[start:]
    sent = body if most is None else body[:most]
    headers = {"Content_Length": str(len(body))} | publisher.headers
    if publisher.etag is not None:
        headers["ETag"] = publisher.etag
    if start:
        headers["Content_Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
    publisher.asked.append((path, asked, len(sent)))
    handler.reply(206 if start else 200, sent, **headers)
    handler.close_connection = True


def cut(most: int) -> Answer:
    """Break the connection after `most` bytes."""
    return lambda handler, publisher: serve(handler, publisher, most)


def deaf(handler: Handler, publisher: Publisher) -> None:
    """Send the whole file whatever Range asks for."""
    serve(handler, publisher, deaf=True)


def status(code: int) -> Answer:
    """Answer with an error."""
    return lambda handler, _: handler.reply(code, b"")


def page(handler: Handler, _: Publisher) -> None:
    """Send a login page as if it were the file."""
    handler.reply(200, PAGE, Content_Type="text/html; charset=utf-8")


def plain_page(handler: Handler, _: Publisher) -> None:
    """Send a login page and call it an archive."""
    handler.reply(200, PAGE, Content_Type="application/zip")


def stall(handler: Handler, publisher: Publisher) -> None:
    """Begin, and then say nothing more."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    publisher.ended.wait(20)


def halves(handler: Handler, publisher: Publisher) -> None:
    """Send half of the file, and the rest when the server ends."""
    content = publisher.files[handler.path.lstrip("/")]
    handler.send_response(200)
    for name, value in (("Content-Length", str(len(content))), ("ETag", str(publisher.etag))):
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(content[: len(content) // 2])
    publisher.ended.wait(300)


@contextmanager
def publisher() -> Iterator[Publisher]:
    """Run a server on a free port of 127.0.0.1."""
    handler = type("Bound", (Handler,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        one = Publisher(f"http://127.0.0.1:{server.server_port}")
        handler.publisher = one
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield one
        finally:
            one.ended.set()
            server.shutdown()
            thread.join()


def closed_port() -> str:
    """Return a URL at which nobody answers."""
    with publisher() as one:
        return one.url
