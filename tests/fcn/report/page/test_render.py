"""The page of a table made by hand: what it shows, and that it loads and runs nothing."""

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
from PIL import Image

from fcn.report.page.evidence import (
    DataProvenance,
    EmbeddedPicture,
    LabelReport,
    RawFile,
    RowEvidence,
)
from fcn.report.page.render import PageContent, render_page
from fcn.report.table import grids
from fcn.report.table.content import Row
from fcn.report.table.verdicts import Measurement, PublishedCell
from fcn.uncertainty.intervals import Interval
from tests.fcn.report.table.test_formats import TWO

HOSTILE = "<script>alert('x')</script>"
SECTIONS = (
    "table published ladder curves classes confusion gallery labels cost data".split()  # noqa: SIM905
)
CELL = PublishedCell(
    network="FCN-32s",
    row="two-fcn32s",
    metric="mean_iou",
    convention="berkeley",
    published=63.6,
    measured=Measurement(0.7, Interval(0.68, 0.72), 1),
    verdict="better by 6.4",
    reason="",
    source="Long et al., table 3",
    split="seg11valid",
    conditions="VGG-16, 100k iterations",
)


def picture(caption: str) -> EmbeddedPicture:
    buffer = io.BytesIO()
    Image.new("RGB", (200, 50), "green").save(buffer, "PNG")
    encoded = base64.b64encode(buffer.getvalue()).decode()
    return EmbeddedPicture(f"data:image/png;base64,{encoded}", 200, 50, caption)


def evidence(row: Row) -> RowEvidence:
    metrics = {
        "mean_dice": 0.6543,
        "boundary_iou": 0.4321,
        "calibration_error": 0.0123,
        "trimap_iou": {"1": 0.3141, "40": None},
        "parameters": 1234567,
        "model_bytes": 7654321,
    }
    curve = [
        {"epoch": n, "step": 10.0 * n, "loss": 1 / n, "val_mean_iou": 0.2 * n} for n in (1.0, 2.0)
    ]
    shares = np.array([[0.87, 0.13], [0.004, 0.996]])
    pictures = {rank: [picture(f"{rank} image: mean IoU 50.0")] for rank in ("best", "worst")}
    return RowEvidence(row, metrics, curve, shares, {"median": [], **pictures}, 320, 640)


def content(name: str = "thing", cells: tuple[PublishedCell, ...] = (CELL,)) -> PageContent:
    """A page's content; `name` is that of a class."""
    rows = [
        replace(row, class_iou=dict(zip(("ground", name), row.class_iou.values(), strict=True)))
        for row in TWO.rows
    ]
    shares = {"ground": 0.75, name: 0.25}
    split = {"examples": 31, "groups": 29, "class_share": shares, "ignored_share": 0.0625}
    labels = {"verdict": "valid", "splits": {"train": split}, "rules": {"tiny_component": 17}}
    return PageContent(
        "two",
        replace(TWO, rows=rows, cells=cells),
        [evidence(row) for row in rows],
        LabelReport(labels, {"examples/train": [picture("train-1")], "offenders": []}),
        DataProvenance(
            "ab" * 32, [RawFile("a.zip", "https://example.org/a.zip", "cd" * 32)], "CC BY 4.0"
        ),
    )


class Elements(HTMLParser):
    """Every element with its attributes, and the text outside of style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag not in ("meta", "link", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_every_section_is_present_and_every_element_is_closed() -> None:
    page = Elements(render_page(content()))
    assert [section["id"] for section in page.of("section")] == SECTIONS
    assert [a["href"] for a in page.of("a")][: len(SECTIONS)] == [f"#{name}" for name in SECTIONS]
    assert page.open == []


def test_it_holds_each_number_and_its_evidence() -> None:
    shown = Elements(render_page(content())).text
    for grid in (grids.format_scores(TWO), grids.format_class_iou(TWO)):
        assert [cell for line in grid[1] for cell in line if cell not in shown] == []
    for text in ("63.6", "better by 6.4", "Long et al., table 3", "seg11valid", "100k iterations"):
        assert text in shown
    for text in ("65.4", "43.2", "31.4", "1,234,567", "7,654,321", "320", "960", "87", "6.25"):
        assert text in shown
    for text in ("tiny_component", "17", "ab" * 32, "cd" * 32, "CC BY 4.0", "Somebody, 1998."):
        assert text in shown


def test_a_table_without_published_numbers_says_so() -> None:
    assert "no published numbers to compare with" in Elements(render_page(content(cells=()))).text


def test_hostile_names_are_text() -> None:
    hostile = replace(CELL, source=HOSTILE, conditions=HOSTILE, network=HOSTILE)
    original = content(HOSTILE, (hostile,))
    data = DataProvenance(HOSTILE, [RawFile(HOSTILE, "javascript:alert(1)", HOSTILE)], HOSTILE)
    labels = replace(original.labels, pictures={HOSTILE: [picture(f'"{HOSTILE}')]})
    report = replace(original.report, title=HOSTILE, citation=f"`{HOSTILE}`")
    page = Elements(render_page(replace(original, report=report, labels=labels, data=data)))
    assert page.of("script") == []
    assert page.text.count(HOSTILE) > 10
    assert [a for a in page.of("a") if not str(a["href"]).startswith("#")] == []
    assert {tuple(img) for img in page.of("img")} == {("src", "width", "height", "alt")}


def test_it_loads_nothing_and_the_same_content_gives_the_same_page() -> None:
    text = render_page(content())
    page = Elements(text)
    assert all(str(img["src"]).startswith("data:image/") for img in page.of("img"))
    assert [link["href"] for link in page.of("link")] == ["data:,"]
    assert {"script", "iframe", "object", "embed"} & {tag for tag, _ in page.elements} == set()
    assert not re.search(r"@import|url\(", text)
    (policy,) = (m for m in page.of("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert str(policy["content"]).startswith("default-src 'none'")
    assert text == render_page(content())


def test_screen_readers_find_descriptions_and_scopes() -> None:
    page = Elements(render_page(content()))
    assert all(img["alt"] for img in page.of("img"))
    assert all(th.get("scope") in ("row", "col") for th in page.of("th"))
    assert all(svg.get("aria-label") for svg in page.of("svg"))
