"""bench.main_job on a toy repository of two commits, whose main job sleeps."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench import main_job

JOB = """
import json, os, time
from pathlib import Path
assert not any(name.startswith("MLFLOW_") for name in os.environ)
assert not Path("data").exists(), "not from nothing"
Path("data/metrics/digits").mkdir(parents=True)
Path("data/metrics/digits/digits-fcn8s.json").write_text(json.dumps({{"mean_iou": {score}}}))
time.sleep({seconds})
"""


def git(folder: Path, *command: str) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", *identity, *command], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two commits, `slow` and `fast`, and a later one whose job fails."""
    root = tmp_path / "repository"
    (root / "flows").mkdir(parents=True)
    # A package, which comes before the installed one; a folder without this file would not.
    (root / "flows/__init__.py").touch()
    git(root, "init", "-q")
    jobs = {
        "slow": JOB.format(score=0.5, seconds=1.5),
        "fast": JOB.format(score=0.75, seconds=0),
        "broken": "raise SystemExit('error: no space is left')",
    }
    for name, job in jobs.items():
        (root / "flows/reproduce.py").write_text(job, "utf-8")
        git(root, "add", "-A")
        git(root, "commit", "-qm", name)
        git(root, "tag", name)
    monkeypatch.setattr(main_job, "ROOT", root)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    return root


def test_commits_alternate_and_the_last_line_is_the_ratio(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main_job.main_job("slow", "fast", pairs=2)
    *runs, slow, fast, spread, last = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in runs] == ["slow", "fast", "fast", "slow"]
    assert all(line.endswith("mean IoU: digits-fcn8s 50.0") for line in (runs[0], runs[3]))
    assert slow.startswith("slow: median ")
    assert fast.startswith("fast: median ")
    assert spread.startswith("slow / fast, 2 pairs: ")
    assert last.startswith("ratio: ")
    seconds = [float(line.split()[1]) for line in runs]
    assert min(seconds[0], seconds[3]) >= 1.5


def test_a_failed_job_shows_the_end_of_its_output(repository: Path) -> None:
    with pytest.raises(ValueError, match="ended with 1:\nerror: no space is left"):
        main_job.main_job("broken", "slow", pairs=1)


def test_a_commit_that_does_not_exist_is_named(repository: Path) -> None:
    with pytest.raises(ValueError, match="no commit 'slower'"):
        main_job.main_job("slow", "slower")


def test_a_measurement_has_the_exit_code_and_the_memory_of_children() -> None:
    held = 64 * 2**20
    child = f"import time; held = b'x' * {held}; time.sleep(3)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}]); exit(3)"
    measurement = main_job.measure([sys.executable, "-c", parent])
    assert measurement.code == 3
    assert measurement.seconds >= 3
    assert measurement.peak_bytes > held
