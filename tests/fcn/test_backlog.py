"""A store that is really away: its database is locked by someone else."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from fcn import backlog, tracking


@pytest.fixture(autouse=True)
def hasty(mlflow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store gives up waiting for a lock after a moment."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{mlflow.get_tracking_uri()}?timeout=0.2")
    tracking.store()


@contextmanager
def locked(mlflow: Any) -> Iterator[None]:
    """Hold MLflow's database as a backup or another writer does."""
    other = sqlite3.connect(mlflow.get_tracking_uri().removeprefix("sqlite:///").partition("?")[0])
    try:
        other.execute("begin exclusive")
        yield
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
    with tracking.run("evaluate", "key", "toy", {}) as run:
        first = run.id or ""
        before = time.time_ns() // 1_000_000
        run.metrics({"loss": 2.0}, step=1)
    (told,) = mlflow.MlflowClient().get_metric_history(first, "loss")
    assert before <= told.timestamp <= time.time_ns() // 1_000_000


def test_the_end_waits_for_a_store_that_comes_back(
    mlflow: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    here = backlog.Backlog(mlflow)
    with locked(mlflow):
        here.add(lambda mlflow: mlflow.create_experiment("one"))
    assert mlflow.get_experiment_by_name("one") is None
    here.end()
    assert mlflow.get_experiment_by_name("one") is not None
    assert "is there again" in capsys.readouterr().err


def test_what_is_lost_in_the_end_is_said_with_where_the_numbers_are(
    mlflow: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(backlog, "PATIENCE_SECONDS", 0.1)
    with locked(mlflow):
        away = backlog.Backlog(mlflow)
        away.add(lambda mlflow: mlflow.create_experiment("one"))
        away.add(lambda mlflow: mlflow.create_experiment("two"))
        away.end()
    told = capsys.readouterr().err
    assert "2 of the things" in told
    assert "`dvc metrics show`" in told
    away.add(lambda mlflow: mlflow.create_experiment("three"))
    assert mlflow.get_experiment_by_name("one") is None


def test_what_is_refused_is_said_once_and_keeps_nothing_waiting(
    mlflow: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    here = backlog.Backlog(mlflow)
    here.add(lambda mlflow: mlflow.create_experiment(""))
    here.add(lambda mlflow: mlflow.create_experiment("one"))
    here.add(lambda mlflow: mlflow.create_experiment(""))
    here.end()
    assert mlflow.get_experiment_by_name("one") is not None
    assert capsys.readouterr().err.count("warning: MLflow could not be told") == 1
