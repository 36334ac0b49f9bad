"""The page of a table in a real browser: console errors, requests, pixels, phones and paper."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn.report.page.render import PageContent, render_page
from fcn.report.table import grids
from tests.fcn.report.page.test_render import CELL, SECTIONS, Elements, content
from tests.services import browser as devtools
from tests.services import pdf
from tests.services.browser import A4_WIDTH, CHROMIUM
from tests.waiting import SECONDS

pytestmark = pytest.mark.services


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
    logging = "--enable-logging=stderr"
    command = [*CHROMIUM, logging, f"--user-data-dir={scratch / 'profile'}", *options]
    return subprocess.run(
        [*command, path.as_uri()], capture_output=True, text=True, check=True, timeout=SECONDS
    )


def opened(path: Path, scratch: Path) -> Opened:
    picture, net = scratch / "shown.png", scratch / "net.json"
    options = (f"--screenshot={picture}", "--window-size=1280,2000", f"--log-net-log={net}")
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
    assert good.screenshot.shape == (2000, 1280, 3)
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


def crowded() -> PageContent:
    """A page whose tables are as wide as those of PASCAL VOC, with long names and verdicts."""
    classes = [f"{name}_{number}" for number in range(7) for name in ("table", "plant", "train")]
    shares = dict.fromkeys(classes, 1 / len(classes))
    far = replace(
        CELL,
        network="the same, its training images",
        verdict="not comparable",
        reason="other " * 20,
        split="validation images resampled from the training images at every epoch",
    )
    small = content(cells=(CELL, far))
    names = ("a small encoder, two-step decoder", "FCN-8s, without transfer from the classifier")
    report = replace(
        small.report,
        rows=[
            replace(row, name=name, class_iou=shares)
            for row, name in zip(small.report.rows, names, strict=True)
        ],
    )
    metrics = {"trimap_iou": dict.fromkeys(["1", "2", "4", "8", "16", "40"], 0.5)}
    rows = [
        replace(
            evidence,
            row=row,
            shares=np.full((len(classes),) * 2, 0.25),
            metrics=evidence.metrics | metrics,
        )
        for evidence, row in zip(small.rows, report.rows, strict=True)
    ]
    splits = small.labels.content["splits"]
    split = splits["train"] | {"class_share": shares}
    labels = replace(small.labels, content=small.labels.content | {"splits": {"train": split}})
    return replace(small, report=report, rows=rows, labels=labels)


BEYOND = """
[...document.querySelectorAll("table, img, svg, code, p, .bars")]
    .filter(element => element.getBoundingClientRect().right > innerWidth + 1)
    .map(element => element.closest("section").id + " " + element.tagName)
"""
CLOSED = """
[...document.querySelectorAll("details > div")]
    .filter(element => !element.checkVisibility() || !element.offsetHeight).length
"""
HEADS = """
[...document.querySelectorAll("#table table")[0].querySelectorAll("th:nth-child(2), td")]
    .filter(element => element.cellIndex == 1)
    .map(element => [element.innerText, element.getBoundingClientRect().right])
"""


@pytest.mark.parametrize("make", [content, crowded])
def test_on_paper_nothing_is_cut_and_collapsed_parts_are_open(
    make: Callable[[], PageContent], tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    path.write_text(text := render_page(make()), "utf-8")
    with devtools.opened(path, tmp_path) as page:
        page.resize(A4_WIDTH)
        assert page.evaluate(CLOSED) > 0, "a screen shows one part of several"
        page.resize(A4_WIDTH, media="print")
        assert page.evaluate(BEYOND) == []
        assert page.evaluate(CLOSED) == 0
        printed = pdf.text(page.pdf())
    table = Elements(text)
    lines = [line.strip() for line in table.text.splitlines() if line.strip()]
    links = lines[lines.index("Table") : lines.index("Data", lines.index("Table")) + 1]
    shown = [line for line in lines if line not in links]
    assert [line for line in shown if "".join(line.split()) not in printed] == []
    assert len(shown) > 80


SCROLLING = """
[...document.querySelectorAll("#table .scroll, #published .scroll, #cost .scroll, #data .scroll")]
    .filter(box => box.scrollWidth > box.clientWidth)
    .map(box => box.getAttribute("aria-label"))
"""


@pytest.mark.parametrize("width", [1280, 1920])
@pytest.mark.parametrize("make", [content, crowded])
def test_a_desktop_shows_all_columns_without_scrolling_sideways(
    make: Callable[[], PageContent], width: int, tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    path.write_text(render_page(make()), "utf-8")
    with devtools.opened(path, tmp_path) as page:
        page.resize(width)
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate(SCROLLING) == []


@pytest.mark.parametrize("make", [content, crowded])
def test_a_phone_shows_mean_iou_without_scrolling_sideways(
    make: Callable[[], PageContent], tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    path.write_text(render_page(made := make()), "utf-8")
    with devtools.opened(path, tmp_path) as page:
        page.resize(360)
        cells = page.evaluate(HEADS)
        assert page.evaluate("document.documentElement.scrollWidth") == 360
    scores = [grids.format_percent(row.scores["mean_iou"]) for row in made.report.rows]
    assert [cell.partition(" ")[0] for cell, _ in cells] == ["mean", *scores]
    assert max(right for _, right in cells) <= 360
