"""The table stage on counts made by hand: what it writes, what it refuses, what its gate asks."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fcn import files, metrics, tallies
from fcn.datasets import digits
from fcn.tallies import Tallies
from stages.table import table
from tests.conftest import ROOT
from tests.fcn.test_statistics import images

ROWS = ("digits-fcn32s", "digits-fcn16s", "digits-fcn8s")
PUBLISHED = """published:
  digits-somebody:
    table: digits
    row: digits-fcn8s
    name: FCN-8s
    source: Somebody, 2015, table 2
    confirmed: true
    split: test
    conditions: as here
    values: {mean_iou: VALUE}
  digits-elsewhere:
    table: digits
    name: FCN-8s of a post
    source: A post
    confirmed: false
    split: test
    conditions: unknown
    values: {milliseconds: 80}
    not_run: its weights cannot be had
"""


def better(counted: Tallies, step: int) -> Tallies:
    more = counted.counts + 40 * step * np.eye(counted.counts.shape[1], dtype=np.int64)
    return replace(counted, counts=more)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the settings and with what `evaluate` would have left of three rows."""
    for name in ("params.yaml", "tables"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    names = digits.DATASET.classes
    counted = images(number=30, classes=len(names))
    for step, key in enumerate(ROWS):
        left(tmp_path, key, better(counted, step))
    ceilings = {"method": "nearest", "mean_iou": {"32": 0.2, "16": 0.4, "8": 0.6}}
    files.write_json(tmp_path / "m/ceiling.json", ceilings)
    files.write_json(tmp_path / "m/digits-vgg16.json", {"accuracy": {"test": 0.99}})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def left(project: Path, key: str, counted: Tallies) -> None:
    """What `evaluate` leaves of a model."""
    by_class = metrics.per_class(counted.total, digits.DATASET.classes)
    said = {"split": "test", "images": len(counted.ids), "stride": 8, "class_iou": by_class}
    said |= metrics.scores(counted.total)
    files.write_json(project / f"m/{key}.json", said)
    tallies.write(project / "d" / key / tallies.FILE, counted)


def publish(project: Path, value: float, gate: bool = False) -> None:
    path = project / "tables/digits.yaml"
    text = (ROOT / "tables/digits.yaml").read_text("utf-8")
    assert "published: {}\n" in text
    text = text.replace("published: {}\n", PUBLISHED.replace("VALUE", str(value)))
    if gate:
        text = text.replace("    rows:\n", "    gate: reproduced\n    rows:\n")
    path.write_text(text, "utf-8")


def run(project: Path) -> list[dict[str, object]]:
    out = project / "t"
    table("digits", project / "m", project / "d", out / "a.md", out / "a.csv", json=out / "a.json")
    cells: list[dict[str, object]] = json.loads((out / "a.json").read_text("utf-8"))["cells"]
    return cells


def test_a_published_number_gets_a_verdict(project: Path) -> None:
    publish(project, 99.9)
    cell, elsewhere = run(project)
    value = json.loads((project / "m/digits-fcn8s.json").read_text("utf-8"))["mean_iou"]
    assert cell["value"] == round(100 * value, 2)
    assert cell["verdict"] == f"missed by {99.9 - 100 * value:.1f}"
    assert (elsewhere["value"], elsewhere["verdict"]) == (None, "not run here")
    text = (project / "t/a.md").read_text("utf-8")
    assert "A post (unconfirmed)" in text
    assert str(cell["verdict"]) in text


def ours(project: Path) -> float:
    return round(
        100 * metrics.mean_iou(tallies.read(project / "d/digits-fcn8s/tallies.parquet").total), 1
    )


def test_a_gate_stops_the_line_where_a_number_is_no_longer_reproduced(project: Path) -> None:
    publish(project, ours(project), gate=True)
    assert run(project)[0]["verdict"] == "reproduced"
    before = (project / "t/a.json").read_bytes(), (project / "t/a.md").read_bytes()
    left(project, "digits-fcn8s", images(30, len(digits.DATASET.classes)))
    with pytest.raises(ValueError, match=r"gate.*\n.*FCN-8s mean_iou.*reproduced before, now"):
        run(project)
    assert ((project / "t/a.json").read_bytes(), (project / "t/a.md").read_bytes()) == before
    (project / "t/a.json").unlink()
    assert run(project)[0]["verdict"] != "reproduced"


def test_without_a_gate_a_lost_number_is_only_said(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(project, ours(project))
    run(project)
    left(project, "digits-fcn8s", images(30, len(digits.DATASET.classes)))
    run(project)
    assert "warning: digits-fcn8s FCN-8s mean_iou" in capsys.readouterr().err


def test_metrics_changed_by_hand_are_refused(project: Path) -> None:
    path = project / "m/digits-fcn16s.json"
    said = json.loads(path.read_text("utf-8"))
    files.write_json(path, said | {"mean_iou": said["mean_iou"] + 0.01})
    with pytest.raises(ValueError, match="changed by hand: run `dvc repro --force evaluate@"):
        run(project)


def test_rows_measured_on_other_images_are_refused(project: Path) -> None:
    counted = images(30, len(digits.DATASET.classes))
    left(project, "digits-fcn16s", replace(counted, ids=[f"x{n}" for n in counted.ids]))
    with pytest.raises(ValueError, match="measured on other images"):
        run(project)


def test_other_trainings_of_a_row_widen_the_noise(project: Path) -> None:
    publish(project, 99.9)
    alone = run(project)[0]
    path = project / "tables/digits.yaml"
    text = path.read_text("utf-8")
    (last,) = [part for part in text.split("  digits-fcn") if part.startswith("8s:\n    table")]
    entry = last.split("\n\n")[0]
    again = f"  digits-fcn{entry}\n"
    other = again.replace("digits-fcn8s:", "digits-fcn8s-b:") + "    seed: 2\n"
    text = text.replace(again, again + other)
    text = text.replace("    rows:\n", "    seeds: {digits-fcn8s: [digits-fcn8s-b]}\n    rows:\n")
    path.write_text(text, "utf-8")
    left(project, "digits-fcn8s-b", better(images(30, len(digits.DATASET.classes)), 3))
    twice = run(project)[0]
    assert twice["trainings"] == 2
    assert twice["high"] - twice["low"] > 2 * (alone["high"] - alone["low"])  # type: ignore[operator]
    assert "2: " in (project / "t/a.md").read_text("utf-8")
