"""A table of a person's own, made as docs/datasets.md says."""

from pathlib import Path

import pandas as pd

from tests import guide
from tests.pipeline.conftest import copy


def test_the_guide_leads_to_a_table(tmp_path: Path) -> None:
    project = copy(tmp_path / "project")
    guide.write(project.root)
    project.edit("tables/leaves.yaml", "epochs: 20", "epochs: 2")
    for command in guide.commands():
        project.run(*command)
    table = pd.read_csv(project.root / "data/tables/leaves.csv")
    assert table["row"].tolist() == ["leaves-fcn32s"]
    assert table["mean_iou"].between(0, 1).all()
    assert project.run("dvc", "status", "table@leaves").stdout.strip().endswith("up to date.")
