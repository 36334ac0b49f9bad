import shutil
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from fcn.common import files
from fcn.samples import shipped
from tests.conftest import ROOT

LIMIT = 3 * 2**20
"""Bytes of the model: every clone and every installation pays for them."""


def test_the_shipped_model_is_the_one_of_the_committed_table() -> None:
    command = ["git", "show", "HEAD:dvc.lock"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no Git, which holds the committed dvc.lock")
    if done.returncode:
        pytest.skip(f"no committed dvc.lock: {done.stderr.strip()}")
    training = YAML(typ="safe").load(done.stdout)["stages"][f"train@{shipped.MODEL}"]
    committed = {out["path"]: out["md5"] for out in training["outs"]}
    path = f"data/models/{shipped.MODEL}.keras"
    again = "the table was made again: run `python -m fcn.samples.update` and commit fcn/samples"
    assert files.md5(shipped.model()) == committed[path], again


def test_it_is_small_enough_to_ship() -> None:
    assert shipped.model().stat().st_size < LIMIT


def test_a_model_that_is_not_the_cards_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "samples"
    shutil.copytree(shipped.FOLDER, folder)
    assert shipped.model(folder) == folder / "digits-fcn8s.keras"
    with shipped.model(folder).open("r+b") as file:
        file.seek(1000)
        file.write(b"damage")
    with pytest.raises(ValueError, match=r"digits-fcn8s\.keras is damaged: .* install fcn-line"):
        shipped.model(folder)
