"""A store that is really away: its database is locked by someone else."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fcn.tracking import backlog, runs


@pytest.fixture(autouse=True)
def hasty(mlflow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store gives up waiting for a lock after a moment."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{mlflow.get_tracking_uri()}?timeout=0.2")
    runs.store()


@contextmanager
def locked(mlflow: Any) -> Iterator[sqlite3.Connection]:
    """Hold MLflow's database as a backup or another writer does."""
    path = mlflow.get_tracking_uri().removeprefix("sqlite:///").partition("?")[0]
    other = sqlite3.connect(path, check_same_thread=False)
    try:
        other.execute("begin exclusive")
        yield other
    finally:
        other.close()


def names(mlflow: Any) -> list[str]:
    return [one.name for one in mlflow.search_experiments() if one.name != "Default"]


def test_what_a_locked_store_cannot_take_waits_for_its_turn(
    mlflow: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = backlog.Backlog(mlflow)
    with locked(mlflow):
        here.add(lambda mlflow: mlflow.create_experiment("one"))
        here.add(lambda mlflow: mlflow.create_experiment("two"))  # its next try is not due yet
    assert names(mlflow) == []
    here.add(lambda mlflow: mlflow.create_experiment("three"))
    assert names(mlflow) == []
    later = time.monotonic() + 1000
    monkeypatch.setattr(time, "monotonic", lambda: later)
    here.add(lambda mlflow: mlflow.create_experiment("four"))
    assert sorted(names(mlflow)) == ["four", "one", "three", "two"]
    told = capsys.readouterr().err
    assert told.count("warning: MLflow's store is away") == 1
    assert "database is locked" in told
    assert told.count("is there again") == 1


def test_a_metric_keeps_the_time_at_which_it_was_so(mlflow: Any) -> None:
    with runs.run("evaluate", "key", "toy", {}) as run:
        first = run.id or ""
        with locked(mlflow):
            run.tell(lambda mlflow: mlflow.create_experiment("one"))
            run.metrics({"loss": 2.0}, step=1)
            so_far = time.time_ns() // 1_000_000
        time.sleep(0.1)
        assert mlflow.MlflowClient().get_metric_history(first, "loss") == []
    (told,) = mlflow.MlflowClient().get_metric_history(first, "loss")
    assert told.timestamp <= so_far
    assert mlflow.get_run(first).info.status == "FINISHED"


def test_the_end_waits_for_a_store_that_comes_back(
    mlflow: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    here = backlog.Backlog(mlflow)
    with locked(mlflow) as other:
        here.add(lambda mlflow: mlflow.create_experiment("one"))
        threading.Timer(1.0, other.rollback).start()
        here.end(60)
    assert names(mlflow) == ["one"]
    told = capsys.readouterr().err
    assert "waiting for MLflow's store, 60 s at most" in told
    assert "is there again" in told


def test_what_can_never_be_told_holds_up_nothing_else(
    mlflow: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(backlog, "PATIENCE_SECONDS", 0.1)
    with runs.run("evaluate", "key", "toy", {}) as run:
        first, folder = run.id or "", Path(mlflow.get_artifact_uri().removeprefix("file://"))
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.write_text("where a folder should be")
        run.picture("one", Image.new("L", (2, 2)))
        run.metrics({"loss": 2.0}, step=1)
    assert mlflow.get_run(first).data.metrics == {"loss": 2.0}
    assert mlflow.get_run(first).info.status == "FINISHED"
    assert "1 of the things that MLflow should know" in capsys.readouterr().err


def test_an_error_does_not_wait_for_the_store(
    mlflow: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing() -> None:
        with runs.run("evaluate", "key", "toy", {}) as run, locked(mlflow):
            run.tell(lambda mlflow: mlflow.create_experiment("one"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert "waiting" not in capsys.readouterr().err
    assert mlflow.active_run() is None


def test_what_is_lost_in_the_end_is_said_with_where_the_numbers_are(
    mlflow: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with locked(mlflow):
        away = backlog.Backlog(mlflow)
        away.add(lambda mlflow: mlflow.create_experiment("one"))
        away.add(lambda mlflow: mlflow.create_experiment("two"))
        away.end(0.1)
    told = capsys.readouterr().err
    assert "2 of the things that MLflow should know are lost" in told
    away.add(lambda mlflow: mlflow.create_experiment("three"))
    assert mlflow.get_experiment_by_name("one") is None


def test_what_is_refused_is_said_once_and_keeps_nothing_waiting(
    mlflow: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    here = backlog.Backlog(mlflow)
    here.add(lambda mlflow: mlflow.create_experiment(""))
    here.add(lambda mlflow: mlflow.create_experiment("one"))
    here.add(lambda mlflow: mlflow.create_experiment(""))
    here.end(60)
    assert mlflow.get_experiment_by_name("one") is not None
    assert capsys.readouterr().err.count("warning: MLflow could not be told") == 1
