"""A pipeline run over a few stages, two of which ran."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from fcn.tracking import connection, git, lineage, registry, runs
from tests.shipped import SHIPPED

LOCK = {
    "stages": {
        f"{stage}@digits{row}": {
            "cmd": "x",
            "outs": [{"path": f"{stage}{row}", "md5": f"{stage}{row}"}],
        }
        for stage in ("train", "evaluate")
        for row in ("-a", "-b")
    }
    | {"table@digits": {"cmd": "x", "outs": [{"path": "t", "md5": "t"}]}}
}
STAGES = list(LOCK["stages"])


@pytest.fixture
def project(mlflow: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(connection, "ROOT", tmp_path)
    (tmp_path / "tables").mkdir()
    for name in ("params.yaml", "tables/digits.yaml"):
        shutil.copy(SHIPPED / name, tmp_path / name)
    (tmp_path / "dvc.lock").write_text(json.dumps(LOCK))
    return mlflow.MlflowClient()


def run_stage(stage: str, env: dict[str, str], patch: pytest.MonkeyPatch) -> None:
    with patch.context() as here:
        here.setenv("DVC_STAGE", stage)
        for name, value in env.items():
            here.setenv(name, value)
        kind, _, key = stage.partition("@")
        with runs.open_run(kind, key, "digits", {}):
            pass


def pipeline(stages: list[str], patch: pytest.MonkeyPatch, **tags: str) -> str:
    """Run some of the stages; return the parent run's id."""
    with registry.pipeline(["digits"], tags, STAGES) as env:
        for stage in stages:
            run_stage(stage, env, patch)
    return runs.parents(env)["digits"]


def test_a_cached_stage_points_to_the_run_that_made_its_outs(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = [stage for stage in STAGES if stage != "table@digits"]
    first = lineage.of(pipeline(measured, monkeypatch), STAGES)
    assert {one.stage: one.cached for one in first} == dict.fromkeys(measured, False)
    makers = {one.stage: one.run for one in first}

    parent = pipeline(["train@digits-b"], monkeypatch)
    tags = project.get_run(parent).data.tags
    assert {name: run for name, run in tags.items() if name.startswith(lineage.CACHED)} == {
        "cached.train.digits-a": makers["train@digits-a"],
        "cached.evaluate.digits-a": makers["evaluate@digits-a"],
        "cached.evaluate.digits-b": makers["evaluate@digits-b"],
    }
    second = {one.stage: one for one in lineage.of(parent, STAGES)}
    assert second["train@digits-a"] == lineage.StageRun(
        "train@digits-a", makers["train@digits-a"], None, True
    )
    assert not second["train@digits-b"].cached
    assert second["train@digits-b"].run != makers["train@digits-b"]


def test_outs_that_no_run_made_have_no_run(
    project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline(STAGES[:4], monkeypatch)
    other = json.dumps(LOCK).replace('"md5": "train-a"', '"md5": "another"')
    (tmp_path / "dvc.lock").write_text(other)
    tags = project.get_run(pipeline([], monkeypatch)).data.tags
    assert "cached.train.digits-a" not in tags
    assert "cached.train.digits-b" in tags


def test_a_training_under_bare_dvc_is_found_by_its_model(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_stage("train@digits-a", {}, monkeypatch)
    (bare,) = project.search_runs([project.get_experiment_by_name("digits").experiment_id])
    project.set_tag(bare.info.run_id, "model.md5", "train-a")
    tags = project.get_run(pipeline([], monkeypatch)).data.tags
    assert tags["cached.train.digits-a"] == bare.info.run_id


def test_parent_and_children_have_the_tags_of_who_started_them(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = pipeline(["train@digits-a"], monkeypatch, **{"prefect.flow_run.id": "7"})
    experiment = project.get_experiment_by_name("digits").experiment_id
    both = project.search_runs([experiment])
    assert len(both) == 2
    for run in both:
        assert run.data.tags["prefect.flow_run.id"] == "7"
        assert "dvc.lock.sha256" in run.data.tags
        assert git.tags().items() <= run.data.tags.items()
    assert parent in {run.info.run_id for run in both}


def test_a_failed_pipeline_marks_no_stage_as_cached(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline(STAGES[:4], monkeypatch)
    with (
        pytest.raises(ZeroDivisionError),
        registry.pipeline(["digits"], {}, STAGES) as env,
    ):
        _ = 1 / 0
    tags = project.get_run(runs.parents(env)["digits"]).data.tags
    assert not any(name.startswith(lineage.CACHED) for name in tags)


def test_only_a_server_has_pages() -> None:
    assert lineage.page("sqlite:///mlflow.db", "1", "abc") is None
    page = lineage.page("http://127.0.0.1:5000/", "1", "abc")
    assert page == "http://127.0.0.1:5000/#/experiments/1/runs/abc"
