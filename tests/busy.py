"""A Prefect server that is busy: a proxy that answers 503 before it passes requests on."""

import http.client
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

PER_CONNECTION = {"connection", "transfer-encoding", "content-length", "host"}
REFUSAL = b'{"exception_message":"Service Unavailable"}'


@dataclass
class Busy:
    """The proxy's address, and how often it has answered 503, by method and path."""

    api: str = ""
    refused: Counter[str] = field(default_factory=Counter)


@contextmanager
def busy(api: str, times: int) -> Iterator[Busy]:
    """Listen before the server `api`; answer 503 to each request the first `times` times.

    A request is its method and path. `Retry-After: 0` spares the test the client's pauses.
    """
    target, proxy, lock = urlsplit(api), Busy(), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.close_connection = True
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = f"{self.command} {urlsplit(self.path).path}"
            if self.headers.get("Upgrade"):
                self.tunnel()
                return
            with lock:
                refuse = proxy.refused[request] < times
                proxy.refused[request] += refuse
            if refuse:
                self.reply(503, REFUSAL, {"Retry-After": "0"})
                return
            headers = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in PER_CONNECTION
            }
            server = http.client.HTTPConnection(str(target.netloc))
            server.request(self.command, self.path, body, headers)
            answer = server.getresponse()
            self.reply(answer.status, answer.read(), dict(answer.getheaders()))
            server.close()

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        def reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in PER_CONNECTION:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def tunnel(self) -> None:
            """Pass a websocket on, byte by byte."""
            with socket.create_connection((str(target.hostname), int(target.port or 80))) as server:
                head = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
                server.sendall(f"{self.requestline}\r\n{head}\r\n".encode())
                back = threading.Thread(target=copy, args=[server, self.connection], daemon=True)
                back.start()
                copy(self.connection, server)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        proxy.api = f"http://127.0.0.1:{server.server_address[1]}{target.path}"
        thread = threading.Thread(target=server.serve_forever, args=[0.05])
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()


def copy(source: socket.socket, target: socket.socket) -> None:
    """Copy bytes until one side closes."""
    with suppress(OSError):
        while chunk := source.recv(65536):
            target.sendall(chunk)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
