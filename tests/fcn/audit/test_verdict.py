"""The verdict on a folder's results: read from its files and its last commit."""

import hashlib
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML

from fcn.audit import committed, verdict
from fcn.cli import verdict as command
from fcn.common import files
from fcn.report.table import counts
from fcn.report.table.counts import RowCounts
from fcn.runtime import machine
from fcn.scores.per_image import PerImageCounts
from fcn.settings import reader
from tests.conftest import ROOT
from tests.fcn.uncertainty.test_statistic import images

ROWS = tuple(reader.load("digits", ROOT).table.tables["digits"].rows)
LAST = ROWS[-1]
MACHINE = {"cpu": "A", "cores": 2, "versions": {"keras": "3.15"}}


def git(root: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with the settings, and with the results of every row of a table, committed."""
    (tmp_path / "tables").mkdir()
    for name in ("params.yaml", "tables/digits.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / ".gitignore").write_text("data/models/\n")
    write_results(tmp_path, {})
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "results")
    return tmp_path


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The machine of the test: the committed one, unless the test changes it."""
    described: dict[str, Any] = dict(MACHINE)
    monkeypatch.setattr(machine, "describe", lambda: described)
    return described


def write_results(root: Path, wrong: dict[str, int]) -> None:
    """Write what the stages write; a row in `wrong` has so many more wrong pixels per image."""
    rows, stages = {}, {}
    for row in ROWS:
        rows[row] = RowCounts.of(counted(wrong.get(row, 0)))
        weights = f"{row} {wrong.get(row)}".encode()
        model = root / f"data/models/{row}.keras"
        model.parent.mkdir(parents=True, exist_ok=True)
        model.write_bytes(weights)
        md5 = hashlib.md5(weights, usedforsecurity=False).hexdigest()
        out = {"path": f"data/models/{row}.keras", "md5": md5}
        stages[f"train@{row}"] = {"cmd": "x", "outs": [out]}
    files.write_json(root / "data/tables/digits.machine.json", MACHINE)
    counts.write(root / "data/tables/digits.counts.parquet", rows)
    with (root / "dvc.lock").open("w") as file:
        YAML(typ="safe").dump({"schema": "2.0", "stages": stages}, file)


def counted(wrong: int) -> PerImageCounts:
    result = images(number=60)
    right = 500 * np.eye(4, dtype=np.int64)
    return replace(result, confusion=result.confusion + right + wrong * np.eye(4, k=1, dtype=int))


def lines(root: Path) -> list[str]:
    return [line for line in str(verdict.judge("digits", root)).splitlines() if line[:2] == "- "]


def test_the_committed_results_are_the_same_bytes(project: Path) -> None:
    judged = verdict.judge("digits", project)
    assert str(judged).startswith("# digits: the same bytes\n")
    assert [line.rpartition(": ")[2] for line in lines(project)] == ["the same bytes"] * len(ROWS)
    assert judged.commit in str(judged)
    assert "Processor, caches, cores, environment and versions are those of" in str(judged)


def test_a_small_difference_is_reproduced_and_told_with_its_numbers(
    project: Path, here: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    write_results(project, {LAST: 1})
    here["cpu"] = "B"
    assert command.verdict(["digits"], project, project) == 0
    text = capsys.readouterr().err
    assert "# digits: reproduced" in text
    name = reader.load("digits", ROOT).table.tables["digits"].rows[LAST]
    number, interval = r"\d+\.\d", r"\[-?\d+\.\d, -?\d+\.\d\]"
    for score in ("mean IoU", "pixel accuracy", "mean accuracy", r"f\.w\. IoU"):
        values = f"{number} here, {number} {interval} committed"
        line = f"- {name}, {score}: reproduced: {values}, paired difference -0\\.\\d {interval}\n"
        assert len(re.findall(line, text)) == 1, score
    assert "- cpu: B here, A committed" in text
    assert (project / "verdict.md").read_text("utf-8").strip() in text
    content = json.loads((project / "verdict.json").read_text("utf-8"))
    assert content["reproduced"]
    (table,) = content["tables"]
    cells = {(cell["row"], cell["metric"]): cell for cell in table["cells"]}
    assert cells[ROWS[0], None]["verdict"] == "the same bytes"
    headline = cells[LAST, "mean_iou"]
    assert headline["verdict"] == "reproduced"
    assert headline["here"] < headline["committed"]


def test_another_machine_with_the_same_bytes_is_named(project: Path, here: dict[str, Any]) -> None:
    """The table was not made again there, so the folder still has the committed description."""
    here["cpu"] = "B"
    text = str(verdict.judge("digits", project))
    assert text.startswith("# digits: the same bytes\n")
    assert "- cpu: B here, A committed" in text


def test_a_large_difference_is_not_reproduced(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_results(project, {LAST: 200})
    assert command.verdict(["digits"], project, project) == 1
    text = capsys.readouterr().err
    assert "# digits: not reproduced" in text
    assert "mean IoU: not reproduced: " in text
    assert not json.loads((project / "verdict.json").read_text("utf-8"))["reproduced"]


def test_other_weights_with_the_same_counts_are_named(project: Path) -> None:
    write_results(project, {LAST: 0})
    assert [line.rpartition(": ")[2] for line in lines(project)][-1] == (
        "the same counts, from other weights"
    )


def test_a_table_that_is_not_committed_has_nothing_to_contradict(project: Path) -> None:
    git(project, "rm", "--quiet", "--cached", "data/tables/digits.counts.parquet")
    git(project, "rm", "--quiet", "--cached", "data/tables/digits.machine.json")
    git(project, "commit", "--quiet", "--message", "settings only")
    judged = verdict.judge("digits", project)
    assert str(judged).startswith("# digits: not in the commit\n")
    assert judged.verdict.agrees
    assert "does not say which machine" in str(judged)


def test_without_a_trained_model_there_is_no_result_to_compare(project: Path) -> None:
    model = project / f"data/models/{LAST}.keras"
    model.write_bytes(b"of another training")
    with pytest.raises(ValueError, match=r"not the one in dvc\.lock.*make reproduce"):
        verdict.judge("digits", project)
    model.unlink()
    with pytest.raises(ValueError, match=r"fcn8s\.keras is missing.*make reproduce"):
        verdict.judge("digits", project)
    (project / "data/tables/digits.counts.parquet").unlink()
    with pytest.raises(ValueError, match=r"parquet is missing; `dvc repro table@digits`"):
        verdict.judge("digits", project)


def test_a_folder_without_a_commit_is_refused(project: Path) -> None:
    shutil.rmtree(project / ".git")
    subprocess.run(["git", "init", "--quiet"], cwd=project, check=True)
    with pytest.raises(ValueError, match="has no Git commit to compare with"):
        verdict.judge("digits", project)


def test_the_last_commit_is_read_not_the_folder(project: Path) -> None:
    before = committed.read("params.yaml", project)
    assert before == (project / "params.yaml").read_bytes()
    (project / "params.yaml").write_text("changed\n")
    (project / "data/new ü.csv").write_text("new\n")
    assert committed.read("params.yaml", project) == before
    assert committed.read("data/missing", project) is None
    assert committed.changed(["data", "params.yaml"], project) == ["params.yaml", "data/new ü.csv"]
