"""What a person mistypes at a flow is refused before a server starts, with the nearest name."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows import predict, promote, reproduce
from flows.serving import flow_command

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: Any, **__: Any) -> int:
        raise AssertionError("the flow was started")

    monkeypatch.setattr(flow_command, "run", run)


@pytest.fixture
def settings(pipeline: Callable[..., None]) -> None:
    """The project's settings, and a pipeline of one stage."""
    pipeline("  train: {cmd: touch a, outs: [a]}\n")
    Path("tables").mkdir()
    for name in ("params.yaml", "tables/digits.yaml"):
        shutil.copy(ROOT / name, name)
    with Path("dvc.yaml").open("a") as file:
        file.write("vars: [tables/digits.yaml]\n")


@pytest.mark.usefixtures("settings")
def test_reproduce_refuses_unknown_targets_settings_and_files() -> None:
    with pytest.raises(ValueError, match="unknown target 'trian'; did you mean 'train'"):
        reproduce.main(["trian"])
    with pytest.raises(ValueError, match=r"unknown target 'zzz'; groups in dvc\.yaml: train"):
        reproduce.main(["zzz"])
    with pytest.raises(ValueError, match="did you mean 'seed'"):
        reproduce.main(set=["sede=3"])
    table = Path("tables/digits.yaml")
    table.write_text(table.read_text("utf-8").replace("head: fcn16s", "head: fcn61s"), "utf-8")
    with pytest.raises(ValueError, match="did you mean 'fcn16s'"):
        reproduce.main()


@pytest.mark.usefixtures("settings")
def test_promote_refuses_an_unknown_table() -> None:
    with pytest.raises(ValueError, match="did you mean 'digits'"):
        promote.main("digts")
    with pytest.raises(ValueError, match="did you mean 'digits'"):
        promote.main("digits-fcn8s")


def test_predict_refuses_a_missing_inbox(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    with pytest.raises(ValueError, match=r"inbx is not a folder; .*did you mean '.*/inbox'"):
        predict.main(str(tmp_path / "inbx"), str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
