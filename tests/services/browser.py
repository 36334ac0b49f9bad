"""Chromium without a window, driven through its DevTools protocol."""

import base64
import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.waiting import SECONDS, wait_for

CHROMIUM = [
    "chromium",
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
]
A4_WIDTH = 703
"""CSS pixels between the margins of the page's `@page` rule: (210 - 2 · 12) mm at 96 per inch."""

LOADED = "[location.href, document.readyState]"


class Page:
    """An open page."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._number = socket, 0

    def call(self, method: str, **parameters: Any) -> Any:
        """Call a method of the protocol and return its result."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(SECONDS))
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def evaluate(self, script: str) -> Any:
        """Return the value of a JavaScript expression."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def resize(self, width: int, height: int = 800, *, media: str = "screen") -> None:
        """Lay the page out for a screen of this width, or for paper."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=media == "screen" and width < 700,
        )
        self.call("Emulation.setEmulatedMedia", media=media)

    def screenshot(self, *, whole: bool = False) -> bytes:
        """Return a PNG of what the screen shows, or of the whole page."""
        data = self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        return base64.b64decode(data)

    def pdf(self) -> bytes:
        """Print the page as a person does who changes none of the print dialog's settings."""
        data = self.call("Page.printToPDF", preferCSSPageSize=True)["data"]
        return base64.b64decode(data)


@contextmanager
def opened(path: Path, scratch: Path) -> Iterator[Page]:
    """Open a file; the browser's profile is in the folder `scratch`."""
    profile = scratch / "profile"
    port = profile / "DevToolsActivePort"
    port.unlink(missing_ok=True)
    command = [*CHROMIUM, f"--user-data-dir={profile}", "--remote-debugging-port=0"]
    with subprocess.Popen([*command, path.as_uri()], stderr=subprocess.DEVNULL) as chromium:
        try:
            assert wait_for(lambda: port.is_file() and "\n" in port.read_text())
            number = port.read_text().splitlines()[0]
            with urllib.request.urlopen(f"http://127.0.0.1:{number}/json/list") as listed:
                (target,) = [each for each in json.load(listed) if each["type"] == "page"]
            with connect(target["webSocketDebuggerUrl"], max_size=None) as socket:
                page = Page(socket)
                assert wait_for(lambda: page.evaluate(LOADED) == [path.as_uri(), "complete"])
                yield page
        finally:
            chromium.terminate()
