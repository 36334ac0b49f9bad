"""A store that is really unavailable: another connection has locked its database."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from fcn.tracking import backlog, connection, runs
from fcn.tracking.backlog import Backlog
from fcn.tracking.store import Store
from tests.waiting import SECONDS


@pytest.fixture(autouse=True)
def store(mlflow: Any, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store that stops waiting for a lock after a moment."""
    monkeypatch.setenv(connection.URI, f"{mlflow.get_tracking_uri()}?timeout=0.2")
    return connection.open_store()


@contextmanager
def locked(mlflow: Any) -> Iterator[sqlite3.Connection]:
    """Lock MLflow's database as a backup or another writer does."""
    path = mlflow.get_tracking_uri().removeprefix("sqlite:///").partition("?")[0]
    holder = sqlite3.connect(path, check_same_thread=False)
    try:
        holder.execute("begin exclusive")
        yield holder
    finally:
        holder.close()


def names(mlflow: Any) -> list[str]:
    experiments = mlflow.search_experiments()
    return [experiment.name for experiment in experiments if experiment.name != "Default"]


def test_calls_to_a_locked_store_wait_for_their_turn(
    mlflow: Any,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    now = time.monotonic()
    clock = SimpleNamespace(monotonic=lambda: now, sleep=time.sleep)
    monkeypatch.setattr(backlog, "time", clock)
    calls = Backlog()
    with locked(mlflow):
        calls.add(lambda: store.experiment("one"))
        calls.add(lambda: store.experiment("two"))  # the next attempt is not due yet
    assert names(mlflow) == []
    calls.add(lambda: store.experiment("three"))
    assert names(mlflow) == []
    now += backlog.PAUSE_SECONDS
    calls.add(lambda: store.experiment("four"))
    assert sorted(names(mlflow)) == ["four", "one", "three", "two"]
    log = capsys.readouterr().err
    assert log.count("warning: MLflow's store is unavailable") == 1
    assert "database is locked" in log
    assert log.count("is available again") == 1


def test_a_metric_keeps_the_time_at_which_it_was_measured(mlflow: Any, store: Store) -> None:
    with runs.open_run("evaluate", "key", "toy", {}) as run:
        first = run.id or ""
        with locked(mlflow):
            run.log(lambda writer: store.experiment("one"))
            run.log_metrics({"loss": 2.0}, step=1)
            measured = time.time_ns() // 1_000_000
        time.sleep(0.1)
        assert mlflow.MlflowClient().get_metric_history(first, "loss") == []
    (metric,) = mlflow.MlflowClient().get_metric_history(first, "loss")
    assert metric.timestamp <= measured
    assert mlflow.get_run(first).info.status == "FINISHED"


def test_the_end_waits_for_a_store_that_comes_back(
    mlflow: Any, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = Backlog()
    with locked(mlflow) as holder:
        calls.add(lambda: store.experiment("one"))
        threading.Timer(1.0, holder.rollback).start()
        calls.end(SECONDS)
    assert names(mlflow) == ["one"]
    log = capsys.readouterr().err
    assert f"waiting for MLflow's store, {SECONDS:.0f} s at most" in log
    assert "is available again" in log


def test_a_call_that_always_fails_delays_no_other(
    mlflow: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(backlog, "PATIENCE_SECONDS", 0.1)
    with runs.open_run("evaluate", "key", "toy", {}) as run:
        first, folder = run.id or "", Path(mlflow.get_artifact_uri().removeprefix("file://"))
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.write_text("where a folder should be")
        run.log_picture("one", Image.new("L", (2, 2)))
        run.log_metrics({"loss": 2.0}, step=1)
    assert mlflow.get_run(first).data.metrics == {"loss": 2.0}
    assert mlflow.get_run(first).info.status == "FINISHED"
    assert "1 entries were not logged" in capsys.readouterr().err


def test_an_error_does_not_wait_for_the_store(
    mlflow: Any, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing() -> None:
        with runs.open_run("evaluate", "key", "toy", {}) as run, locked(mlflow):
            run.log(lambda writer: store.experiment("one"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert "waiting" not in capsys.readouterr().err
    assert mlflow.active_run() is None


def test_lost_entries_are_counted_in_a_warning_that_names_where_the_numbers_are(
    mlflow: Any, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = Backlog()
    with locked(mlflow):
        calls.add(lambda: store.experiment("one"))
        calls.add(lambda: store.experiment("two"))
        calls.end(0.1)
    log = capsys.readouterr().err
    assert "2 entries were not logged" in log
    assert "dvc metrics show" in log
    calls.add(lambda: store.experiment("three"))
    assert mlflow.get_experiment_by_name("one") is None


def test_a_refused_call_is_reported_once_and_keeps_nothing_waiting(
    mlflow: Any, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = Backlog()
    calls.add(lambda: store.experiment(""))
    calls.add(lambda: store.experiment("one"))
    calls.add(lambda: store.experiment(""))
    calls.end(60)
    assert mlflow.get_experiment_by_name("one") is not None
    assert capsys.readouterr().err.count("warning: MLflow refused an entry") == 1
