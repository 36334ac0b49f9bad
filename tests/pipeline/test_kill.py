"""Trainings killed at random moments and started again, on the real stages, DVC and flow."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests import interrupts
from tests.pipeline.conftest import Project, copy
from tests.waiting import SECONDS, gone, wait_for

KEY = "digits-fcn8s"
LONG = 25
"""Epochs of the shrunk training, twelve steps each: far more than pass before the last kill."""
STEPS = 5
"""From one checkpoint to the next."""


@pytest.fixture(scope="module")
def longer(by_flow: Project, server: str, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished shrunk project whose last training is longer now; checkpoints every few steps."""
    project = Project(tmp_path_factory.mktemp("longer") / "project", server)
    shutil.copytree(by_flow.root, project.root)
    (project.root / "mlflow.db").unlink()  # it names the folder it was made in
    frozen = 'freeze: ["conv1*"]'
    start = f"init_from: digits-fcn16s\n    network: digits-vgg16\n    {frozen}\n    training: "
    short, long = "{epochs: 2, batch: 8,", f"{{epochs: {LONG}, batch: 2,"
    project.edit("tables/digits.yaml", start + short, start + long)
    project.edit("params.yaml", "{minutes: 0.1}", f"{{steps: {STEPS}}}")
    return project


@pytest.fixture
def fresh(longer: Project) -> Project:
    """The same without what an earlier test may have left of its training."""
    shutil.rmtree(longer.root / "data/checkpoints", ignore_errors=True)
    return longer


@pytest.fixture(scope="module")
def whole(longer: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the training leaves that nobody kills."""
    out = tmp_path_factory.mktemp("whole")
    longer.run(*train(out))
    return out


def train(out: Path) -> list[str]:
    """The command of the training's stage, with outs of its own."""
    return [
        *(sys.executable, "-m", "stages.train", KEY),
        *("--records", "data/records/digits", "--valid", "data/reports/digits/valid.json"),
        *("--init-from", "data/models/digits-fcn16s.keras"),
        *("--out", str(out / "model.keras"), "--curve", str(out / "loss.csv")),
    ]


def newest(project: Project, key: str) -> int:
    """The step of the newest checkpoint; 0 where there is none."""
    found = (project.root / "data/checkpoints" / key).glob("*/step-*")
    return max((int(path.name.removeprefix("step-")) for path in found), default=0)


def called(process: psutil.Process) -> str:
    """The command line of a process, empty if it has just ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # a zombie is one of these
        return ""


def kill_at_random(project: Project, key: str, chance: random.Random, *command: str) -> None:
    """Start a training; kill it all at once after one to six more checkpoints.

    Steps decide, not seconds, of which a fast machine needs few for a whole training.
    """
    enough = newest(project, key) + STEPS * chance.randint(1, 6)
    with subprocess.Popen(
        command,
        cwd=project.root,
        env=project.env(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as started:
        wait_for(lambda: newest(project, key) >= enough or started.poll() is not None)
        time.sleep(chance.uniform(0, 0.02))  # at any moment of a step
        assert started.poll() is None, "the training ended before it was killed"
        process = psutil.Process(started.pid)
        kill([process, *process.children(recursive=True)])


def kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # one that has just ended
            process.kill()
    assert gone(*processes)


def same(one: Path, other: Path) -> bool:
    names = ("model.keras", "loss.csv")
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in names)


# The seed stands in the test's name: a failure says it.
@pytest.mark.parametrize("seed", [random.randrange(10**6)])
def test_a_training_killed_three_times_ends_with_the_same_bits_and_one_curve(
    seed: int, fresh: Project, whole: Path, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    for _ in range(3):
        kill_at_random(fresh, KEY, chance, *train(tmp_path))
    assert list(tmp_path.iterdir()) == []
    said = fresh.run(*train(tmp_path)).stdout
    assert f"{KEY}: resumes from the checkpoint at step" in said
    assert same(tmp_path, whole)
    assert newest(fresh, KEY) == 0
    told = fresh.run(sys.executable, "-c", READ_STORE).stdout.splitlines()[-1]
    unkilled, killed = json.loads(told)
    assert killed["loss"] == unkilled["loss"]
    assert len(killed["loss"]) == LONG
    steps = [step for step, _ in killed["batch_loss"]]
    assert sorted(set(steps)) == steps


READ_STORE = """
import json, mlflow
from pathlib import Path
mlflow.set_tracking_uri(f"sqlite:///{Path('mlflow.db').resolve()}")
client = mlflow.MlflowClient()
found = client.search_runs(
    [client.get_experiment_by_name("digits").experiment_id],
    order_by=["attributes.start_time"],
)
assert {run.info.status for run in found} == {"FINISHED"}
print(json.dumps([{
    name: [(one.step, one.value) for one in client.get_metric_history(run.info.run_id, name)]
    for name in ("loss", "batch_loss")
} for run in found]))
"""


def test_a_training_killed_under_the_flow_is_tried_again_and_ends_with_the_same_bits(
    fresh: Project, whole: Path, tmp_path: Path
) -> None:
    with (tmp_path / "log").open("w+") as log:
        with subprocess.Popen(
            [sys.executable, "-m", "flows.reproduce", f"train@{KEY}"],
            cwd=fresh.root,
            env=fresh.env(),
            stdout=log,
            stderr=subprocess.STDOUT,
        ) as flow:
            wait_for(lambda: newest(fresh, KEY) or flow.poll() is not None)
            below = psutil.Process(flow.pid).children(recursive=True)
            trainings = [one for one in below if "stages.train" in called(one)]
            assert trainings
            kill(trainings)
        log.seek(0)
        said = log.read()
    assert flow.returncode == 0, said
    assert f"{KEY}: resumes from the checkpoint at step" in said
    shutil.copy(fresh.root / f"data/models/{KEY}.keras", tmp_path / "model.keras")
    shutil.copy(fresh.root / f"data/plots/digits/{KEY}/loss.csv", tmp_path / "loss.csv")
    assert same(tmp_path, whole)


@pytest.mark.parametrize(
    ("command", "last", "code"),
    [
        (["dvc", "repro", "--single-item"], "", 255),
        (
            [sys.executable, "-m", "flows.reproduce"],
            "cancelled; all stages have been ended",
            130,
        ),
    ],
    ids=["dvc", "flow"],
)
def test_a_training_interrupted_under_dvc_or_the_flow_says_where_it_continues(
    command: list[str], last: str, code: int, fresh: Project, tmp_path: Path
) -> None:
    with (
        # Another setting: an earlier test may have completed the training.
        fresh.edited(f"{{epochs: {LONG}, ", f"{{epochs: {LONG + 1}, "),
        (tmp_path / "log").open("w+") as log,
        subprocess.Popen(
            [*command, f"train@{KEY}"],
            cwd=fresh.root,
            env=fresh.env(),
            stdout=log,
            stderr=subprocess.STDOUT,
            process_group=0,
            preexec_fn=interrupts.heed,
        ) as running,
    ):
        wait_for(lambda: newest(fresh, KEY) or running.poll() is not None)
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does
        assert running.wait(timeout=SECONDS) == code
        log.seek(0)
        shown = log.read()
    assert f"interrupted; run again: continues at step {newest(fresh, KEY)}\n" in shown
    assert "Traceback" not in shown
    assert shown.splitlines()[-1].endswith(last)


TRAININGS = (
    "backbone@digits-vgg16",
    "train@digits-fcn32s",
    "train@digits-fcn16s",
    "train@digits-fcn8s",
)
"""Every training of the default table."""


@pytest.mark.soak
@pytest.mark.parametrize("seed", [random.randrange(10**6)])
def test_the_digits_table_after_twenty_kills_is_the_table_of_none(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    chance = random.Random(seed)
    whole, killed = (
        copy(tmp_path_factory.mktemp(name), shrunk=False) for name in ("whole", "killed")
    )
    whole.run("dvc", "repro")
    killed.edit("params.yaml", "{minutes: 0.1}", f"{{steps: {STEPS}}}")
    killed.run("dvc", "repro", "validate@digits")
    for stage in TRAININGS:
        one, key = ("dvc", "repro", "--single-item", stage), stage.partition("@")[2]
        for _ in range(5):
            kill_at_random(killed, key, chance, *one)
        assert f"{key}: resumes from the checkpoint at step" in killed.run(*one).stdout
    killed.run("dvc", "repro")
    unkilled, found = whole.outs(), killed.outs()
    assert sorted(found) == sorted(unkilled)
    assert [name for name in found if found[name] != unkilled[name]] == []
