"""The page of a table made by hand: what it says, and that it loads and runs nothing."""

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
from PIL import Image

from fcn.report import table
from fcn.report.evidence import Behind, Data, Labels, Picture, Raw
from fcn.report.page import Content, page
from fcn.report.table import Row
from fcn.report.verdicts import Cell, Measured
from fcn.uncertainty.intervals import Interval
from tests.fcn.report.test_table import TWO

HOSTILE = "<script>alert('x')</script>"
SECTIONS = (
    "table published ladder curves classes confusion gallery labels cost data".split()  # noqa: SIM905
)
CELL = Cell(
    network="FCN-32s",
    row="two-fcn32s",
    metric="mean_iou",
    convention="berkeley",
    published=63.6,
    measured=Measured(0.7, Interval(0.68, 0.72), 1),
    verdict="better by 6.4",
    reason="",
    source="Long et al., table 3",
    split="seg11valid",
    conditions="VGG-16, 100k iterations",
)


def picture(caption: str) -> Picture:
    buffer = io.BytesIO()
    Image.new("RGB", (200, 50), "green").save(buffer, "PNG")
    told = base64.b64encode(buffer.getvalue()).decode()
    return Picture(f"data:image/png;base64,{told}", 200, 50, caption)


def behind(row: Row) -> Behind:
    measures = {
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
    shown = {which: [picture(f"{which} image: mean IoU 50.0")] for which in ("best", "worst")}
    return Behind(row, measures, curve, shares, {"median": [], **shown}, 320, 640)


def content(name: str = "thing", cells: tuple[Cell, ...] = (CELL,)) -> Content:
    """A page's content; `name` is that of a class."""
    rows = [
        replace(row, class_iou=dict(zip(("ground", name), row.class_iou.values(), strict=True)))
        for row in TWO.rows
    ]
    shares = {"ground": 0.75, name: 0.25}
    split = {"examples": 31, "groups": 29, "class_share": shares, "ignored_share": 0.0625}
    labels = {"verdict": "valid", "splits": {"train": split}, "rules": {"tiny_component": 17}}
    return Content(
        "two",
        replace(TWO, rows=rows, cells=cells),
        [behind(row) for row in rows],
        Labels(labels, {"examples/train": [picture("train-1")], "offenders": []}),
        Data("ab" * 32, [Raw("a.zip", "https://example.org/a.zip", "cd" * 32)], "CC BY 4.0"),
    )


class Elements(HTMLParser):
    """Every element with its attributes, and the text outside of style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))
        if tag not in ("meta", "link", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.text += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def test_every_section_is_there_and_every_element_is_closed() -> None:
    found = Elements(page(content()))
    assert [section["id"] for section in found.of("section")] == SECTIONS
    assert [a["href"] for a in found.of("a")][: len(SECTIONS)] == [f"#{name}" for name in SECTIONS]
    assert found.open == []


def test_it_holds_what_stands_behind_each_number() -> None:
    text = Elements(page(content())).text
    for grid in (table.scores(TWO), table.by_class(TWO)):
        assert [cell for line in grid[1] for cell in line if cell not in text] == []
    for said in ("63.6", "better by 6.4", "Long et al., table 3", "seg11valid", "100k iterations"):
        assert said in text
    for said in ("65.4", "43.2", "31.4", "1,234,567", "7,654,321", "320", "960", "87", "6.25"):
        assert said in text
    for said in ("tiny_component", "17", "ab" * 32, "cd" * 32, "CC BY 4.0", "Somebody, 1998."):
        assert said in text


def test_a_table_beside_which_nothing_was_published_says_so() -> None:
    assert "held against no published number" in Elements(page(content(cells=()))).text


def test_hostile_names_are_text() -> None:
    hostile = replace(CELL, source=HOSTILE, conditions=HOSTILE, network=HOSTILE)
    made = content(HOSTILE, (hostile,))
    data = Data(HOSTILE, [Raw(HOSTILE, "javascript:alert(1)", HOSTILE)], HOSTILE)
    labels = replace(made.labels, pictures={HOSTILE: [picture(f'"{HOSTILE}')]})
    said = replace(made.report, title=HOSTILE, citation=f"`{HOSTILE}`")
    found = Elements(page(replace(made, report=said, labels=labels, data=data)))
    assert found.of("script") == []
    assert found.text.count(HOSTILE) > 10
    assert [a for a in found.of("a") if not str(a["href"]).startswith("#")] == []
    assert {tuple(img) for img in found.of("img")} == {("src", "width", "height", "alt")}


def test_it_loads_nothing_and_the_same_content_gives_the_same_page() -> None:
    text = page(content())
    found = Elements(text)
    assert all(str(img["src"]).startswith("data:image/") for img in found.of("img"))
    assert [link["href"] for link in found.of("link")] == ["data:,"]
    assert {"script", "iframe", "object", "embed"} & {tag for tag, _ in found.found} == set()
    assert not re.search(r"@import|url\(", text)
    assert "default-src 'none'" in text
    assert text == page(content())


def test_it_can_be_read_without_eyes() -> None:
    found = Elements(page(content()))
    assert all(img["alt"] for img in found.of("img"))
    assert all(th.get("scope") in ("row", "col") for th in found.of("th"))
    assert all(svg.get("aria-label") for svg in found.of("svg"))
