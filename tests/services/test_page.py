"""The page of a table in a real browser: console errors, requests and pixels."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn.report.page.render import render_page
from tests.fcn.report.page.test_render import SECTIONS, content

pytestmark = pytest.mark.services
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
    "--enable-logging=stderr",
]


@dataclass(frozen=True)
class Opened:
    """What a browser did with a page."""

    console: list[str]
    """Lines of its console."""
    requests: list[str]
    """Addresses that the page requested."""
    screenshot: np.ndarray
    """uint8 H×W×3."""


def browser(path: Path, scratch: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [*CHROMIUM, f"--user-data-dir={scratch / 'profile'}", *options]
    if os.geteuid() == 0:
        command.append("--no-sandbox")
    return subprocess.run(
        [*command, path.as_uri()], capture_output=True, text=True, check=True, timeout=300
    )


def opened(path: Path, scratch: Path) -> Opened:
    picture, net = scratch / "shown.png", scratch / "net.json"
    options = (f"--screenshot={picture}", "--window-size=1280,1600", f"--log-net-log={net}")
    log = browser(path, scratch, *options).stderr
    urls = {
        event.get("params", {}).get("url", "") for event in json.loads(net.read_text())["events"]
    }
    with Image.open(picture) as screenshot:
        return Opened(
            [line for line in log.splitlines() if "CONSOLE" in line],
            [url for url in urls if "127.0.0.1" in url],
            np.asarray(screenshot.convert("RGB")),
        )


def test_the_page_has_no_console_errors_and_requests_nothing(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    text = render_page(content())
    path.write_text(text, "utf-8")
    good = opened(path, tmp_path)
    assert good.console == []
    assert good.requests == []
    elements = browser(path, tmp_path, "--dump-dom").stdout
    assert [name for name in SECTIONS if f'<section id="{name}">' not in elements] == []
    assert good.screenshot.shape == (1600, 1280, 3)
    # Background, text and bars: the page is neither blank nor without its style.
    paper, bars = (
        float((good.screenshot == colour).all(axis=-1).mean())
        for colour in ((255, 255, 255), (0x00, 0x72, 0xB2))
    )
    assert 0.6 < paper < 0.98
    assert bars > 0.001
    assert good.screenshot.min() < 60

    # Proof that these checks work: the same page with a request and a script.
    broken = text.replace("default-src 'none'", "default-src * 'unsafe-inline'")
    broken = broken.replace("img-src data:", "img-src *").replace(
        "</main>", '<img src="http://127.0.0.1:9/x.png"><script>nothing()</script></main>'
    )
    path.write_text(broken, "utf-8")
    bad = opened(path, tmp_path)
    assert any("nothing is not defined" in line for line in bad.console)
    assert "http://127.0.0.1:9/x.png" in bad.requests
