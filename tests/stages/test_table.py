"""The table stage on counts made by hand: what it writes, what it refuses, when its gate fails."""

import html
import json
import re
import shutil
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn.common import files
from fcn.common.text import file_name
from fcn.datasets import digits
from fcn.report.table import counts
from fcn.scores import extremes, metrics, per_image
from fcn.scores.per_image import PerImageCounts
from fcn.settings import reader
from stages.table import table
from tests.fcn.settings.test_consistency import CELL
from tests.fcn.uncertainty.test_statistic import images
from tests.shipped import SHIPPED

ROWS = tuple(reader.load("digits", SHIPPED).table.tables["digits"].rows)
MORE_SCORES = {
    "mean_dice": 0.5,
    "boundary_iou": 0.4,
    "calibration_error": 0.1,
    "trimap_iou": {"1": 0.3},
}
NOT_RUN = """  digits-not-run:
    table: digits
    name: FCN-8s of a post
    source: A post
    confirmed: false
    split: test
    conditions: unknown
    values: {milliseconds: 80}
    not_run: its weights cannot be had
"""


def better(counted: PerImageCounts, step: int) -> PerImageCounts:
    more = counted.confusion + 40 * step * np.eye(counted.confusion.shape[1], dtype=np.int64)
    return replace(counted, confusion=more)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the settings and with the files that `evaluate` writes for three rows."""
    for name in ("params.yaml", "tables"):
        source = SHIPPED / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    names = digits.DATASET.classes
    counted = images(number=30, classes=len(names))
    for step, key in enumerate(ROWS):
        write_evaluation(tmp_path, key, better(counted, step))
    ceilings = {"method": "nearest", "mean_iou": {"32": 0.2, "16": 0.4, "8": 0.6}}
    files.write_json(tmp_path / "m/ceiling.json", ceilings)
    files.write_json(tmp_path / "m/digits-vgg16.json", {"accuracy": {"test": 0.99}})
    shares = {
        "examples": 9,
        "groups": 9,
        "ignored_share": 0,
        "class_share": dict.fromkeys(names, 0),
    }
    report = {"verdict": "valid", "rules": {}, "splits": {"train": shares}}
    files.write_json(tmp_path / "r/labels.json", report)
    files.write_json(tmp_path / "r/valid.json", {"records": "5ha256", "verdict": "valid"})
    files.write_json(tmp_path / "h/digits.json", {"digits.csv.gz": {"sha256": "0ther5ha256"}})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_evaluation(project: Path, key: str, counted: PerImageCounts) -> None:
    """Write the files that `evaluate` writes for a model."""
    by_class = metrics.per_class(counted.total, digits.DATASET.classes)
    scores = {"split": "test", "images": len(counted.ids), "stride": 8, "class_iou": by_class}
    scores |= (
        metrics.scores(counted.total) | MORE_SCORES | {"parameters": 12345, "model_bytes": 67890}
    )
    files.write_json(project / f"m/{key}.json", scores)
    per_image.write(project / "d" / key / per_image.FILE, counted)
    for number in chain(*extremes.select(counted, 8).values()):
        picture = Image.new("RGB", (40, 10), (number, 0, 0))
        picture.save(project / "d" / key / f"{file_name(counted.ids[number])}.png")
    curve = "epoch,step,loss,val_mean_iou\n1,10,0.5,0.25\n2,20,0.25,0.75\n"
    (project / "p" / key).mkdir(parents=True, exist_ok=True)
    (project / "p" / key / "loss.csv").write_text(curve)


def publish(project: Path, value: float, gate: bool = False) -> None:
    path = project / "tables/digits.yaml"
    text = (SHIPPED / "tables/digits.yaml").read_text("utf-8")
    assert "published: {}\n" in text
    text = text.replace("published: {}\n", CELL.replace("62.7", str(value)) + NOT_RUN)
    if gate:
        text = text.replace("    rows:\n", "    gate: reproduced\n    rows:\n")
    path.write_text(text, "utf-8")


def run(project: Path) -> list[dict[str, object]]:
    out = project / "t"
    inputs = (project / name for name in ("m", "d", "p", "r", "h"))
    outs = {"markdown": "a.md", "csv": "a.csv", "json": "a.json", "html": "a.html"}
    outs |= {"counts": "a.counts.parquet", "machine": "a.machine.json"}
    table("digits", *inputs, **{kind: out / name for kind, name in outs.items()})
    cells: list[dict[str, object]] = json.loads((out / "a.json").read_text("utf-8"))["cells"]
    return cells


def test_a_published_number_gets_a_verdict(project: Path) -> None:
    publish(project, 99.9)
    cell, not_run = run(project)
    value = json.loads((project / "m/digits-fcn8s.json").read_text("utf-8"))["mean_iou"]
    assert cell["value"] == round(100 * value, 2)
    assert cell["verdict"] == f"missed by {99.9 - 100 * value:.1f}"
    assert (not_run["value"], not_run["verdict"]) == (None, "not run here")
    text = (project / "t/a.md").read_text("utf-8")
    assert "A post (unconfirmed)" in text
    assert str(cell["verdict"]) in text


def measured(project: Path) -> float:
    return round(
        100
        * metrics.mean_iou(
            per_image.read(project / "d/digits-fcn8s/per_image_counts.parquet").total
        ),
        1,
    )


def test_a_gate_fails_the_stage_if_a_number_is_no_longer_reproduced(project: Path) -> None:
    publish(project, measured(project), gate=True)
    assert run(project)[0]["verdict"] == "reproduced"
    before = (project / "t/a.json").read_bytes(), (project / "t/a.md").read_bytes()
    write_evaluation(project, "digits-fcn8s", images(30, len(digits.DATASET.classes)))
    with pytest.raises(ValueError, match=r"gate.*\n.*FCN-8s mean_iou.*reproduced before, now"):
        run(project)
    assert ((project / "t/a.json").read_bytes(), (project / "t/a.md").read_bytes()) == before
    (project / "t/a.json").unlink()
    assert run(project)[0]["verdict"] != "reproduced"


def test_without_a_gate_a_lost_number_is_a_warning(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(project, measured(project))
    run(project)
    write_evaluation(project, "digits-fcn8s", images(30, len(digits.DATASET.classes)))
    run(project)
    assert "warning: digits-fcn8s FCN-8s mean_iou" in capsys.readouterr().err


def test_another_machine_gets_what_it_compares_itself_with(project: Path) -> None:
    run(project)
    path = project / "t/a.counts.parquet"
    before = path.read_bytes(), (project / "t/a.machine.json").read_bytes()
    rows = counts.read(before[0], "a")
    assert tuple(rows) == ROWS
    for key, row in rows.items():
        values = json.loads((project / f"m/{key}.json").read_text("utf-8"))
        assert metrics.scores(row.confusion.sum(axis=0)).items() <= values.items()
    assert {"cpu", "cores", "versions"} <= json.loads(before[1]).keys()
    run(project)
    assert (path.read_bytes(), (project / "t/a.machine.json").read_bytes()) == before


def test_metrics_changed_by_hand_are_refused(project: Path) -> None:
    path = project / "m/digits-fcn16s.json"
    scores = json.loads(path.read_text("utf-8"))
    files.write_json(path, scores | {"mean_iou": scores["mean_iou"] + 0.01})
    with pytest.raises(ValueError, match="changed by hand: run `dvc repro --force evaluate@"):
        run(project)


def test_rows_measured_on_other_images_are_refused(project: Path) -> None:
    counted = images(30, len(digits.DATASET.classes))
    write_evaluation(project, "digits-fcn16s", replace(counted, ids=[f"x{n}" for n in counted.ids]))
    with pytest.raises(ValueError, match="measured on other images"):
        run(project)


def test_replicas_of_a_row_widen_the_noise(project: Path) -> None:
    publish(project, 99.9)
    single = run(project)[0]
    path = project / "tables/digits.yaml"
    text = path.read_text("utf-8")
    (model,) = re.findall(r"^  digits-fcn8s:\n(?: {4}.*\n)+", text, re.MULTILINE)
    replica = model.replace("digits-fcn8s:", "digits-fcn8s-b:") + "    seed: 2\n"
    text = text.replace(model, model + replica)
    text = text.replace(
        "    rows:\n", "    replicas: {digits-fcn8s: [digits-fcn8s-b]}\n    rows:\n"
    )
    path.write_text(text, "utf-8")
    write_evaluation(project, "digits-fcn8s-b", better(images(30, len(digits.DATASET.classes)), 6))
    twice = run(project)[0]
    assert twice["trainings"] == 2
    assert twice["high"] - twice["low"] > 2 * (single["high"] - single["low"])  # type: ignore[operator]
    assert "2: " in (project / "t/a.md").read_text("utf-8")


def test_the_page_holds_every_number_of_the_table_and_has_the_same_bytes_twice(
    project: Path,
) -> None:
    publish(project, 99.9)
    run(project)
    page, text = ((project / f"t/a.{kind}").read_text("utf-8") for kind in ("html", "md"))
    numbers = {
        cell.strip()
        for line in text.splitlines()
        if line.startswith("|") and "---" not in line
        for cell in line.strip("|").split("|")
    }
    assert len(numbers) > 40
    assert {number for number in numbers if f">{html.escape(number)}<" not in page} == set()
    for text in ("5ha256", "0ther5ha256", digits.DATASET.licence, "12,345", "67,890"):
        assert text in page
    run(project)
    assert (project / "t/a.html").read_text("utf-8") == page


def test_a_missing_picture_or_curve_is_named(project: Path) -> None:
    next((project / "d/digits-fcn8s").glob("*.png")).unlink()
    with pytest.raises(ValueError, match=r"d/digits-fcn8s/.*\.png is missing; `dvc repro"):
        run(project)
    write_evaluation(project, "digits-fcn8s", images(30, len(digits.DATASET.classes)))
    (project / "p/digits-fcn8s/loss.csv").unlink()
    with pytest.raises(ValueError, match=r"loss\.csv is missing"):
        run(project)
