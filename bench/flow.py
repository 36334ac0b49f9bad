"""Overhead of the flow compared with bare `dvc repro`.

Run:
    python -m bench.flow [--rounds 3] [--unchanged]

1. An unchanged workspace (run `dvc repro` first), the only one with
   `--unchanged`: the flow's own seconds, at most 1.0, and those of
   `dvc repro`, at most 1.5. CPU seconds, which other work changes less, are
   of the whole process; of the flow, with the Prefect server that it starts.
2. A chain of stages that do nothing: seconds per stage above `dvc repro`. At most 1.5.
3. Six independent stages of 5 seconds, two at once: share of `dvc repro`'s time. At most 60 %.
4. From `make serve` to the end of the first scheduled run, unchanged workspace. At most 120 s.

Medians of `--rounds`, with flow and `dvc repro` alternating; the last one runs once.
"""

import os
import re
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import requests
from typer import Option

from fcn.cli import command_line

ROOT = Path(__file__).parents[1]
CHAIN = 8


def main(
    repetitions: Annotated[int, Option("--rounds", help="Runs of each side.")] = 3,
    only_unchanged: Annotated[
        bool, Option("--unchanged", help="Measure the unchanged workspace only.")
    ] = False,
) -> None:
    """Measure all four and print a line for each."""
    rounds = range(repetitions)
    unchanged = "up to date" in run(ROOT, "dvc", "status")
    if unchanged:
        sides: list[tuple[str, Callable[[Path], float]]] = [
            ("the flow", flow),
            ("dvc repro", timed),
        ]
        costs = [[measured(run_side) for _, run_side in sides] for _ in rounds]
        for (name, _), runs in zip(sides, zip(*costs, strict=True), strict=True):
            seconds, cpu = map(spread, zip(*runs, strict=True))
            print(f"1. unchanged workspace, {name}: {seconds} s, {cpu} s of CPU time")
    else:
        print("1. and 4. need an unchanged workspace: run make reproduce")
    if only_unchanged:
        return
    with tempfile.TemporaryDirectory() as folder:
        costs = [chain(Path(folder) / f"chain-{number}") for number in rounds]
        print(f"2. a stage costs {statistics.median(costs):.2f} s above dvc repro")
        shares = [branches(Path(folder) / f"branches-{number}") for number in rounds]
        print(f"3. six branches on two slots: {statistics.median(shares):.0%} of dvc repro's time")
        if unchanged:
            seconds = first_run(Path(folder))
            print(f"4. from serving to the end of the first scheduled run: {seconds:.0f} s")


def measured(run_side: Callable[[Path], float]) -> tuple[float, float]:
    """Run one side in the workspace; return its seconds, and the CPU seconds of its processes."""
    before = cpu_seconds()
    return run_side(ROOT), cpu_seconds() - before


def cpu_seconds() -> float:
    """Return the CPU seconds of all child processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def spread(values: Iterable[float]) -> str:
    """Return the median of some values, and the lowest and the highest."""
    ordered = sorted(values)
    return f"{statistics.median(ordered):.2f} ({ordered[0]:.2f} … {ordered[-1]:.2f})"


def chain(folder: Path) -> float:
    """Return the seconds above `dvc repro` that each stage of a chain costs."""
    stages = [
        f"  s{n}: {{cmd: 'cat s{n - 1} > s{n}', deps: [s{n - 1}], outs: [s{n}]}}\n"
        for n in range(1, CHAIN + 1)
    ]
    toy(folder, "".join(stages))
    (folder / "s0").write_text("1")
    alone = timed(folder)
    (folder / "s0").write_text("2")
    return (flow(folder) - alone) / CHAIN


def branches(folder: Path) -> float:
    """Return the flow's share of `dvc repro`'s time for six independent stages."""
    cmd = "'sleep 5; cat x > b{0}'"
    stages = [f"  b{n}: {{cmd: {cmd.format(n)}, deps: [x], outs: [b{n}]}}\n" for n in range(6)]
    toy(folder, "".join(stages))
    (folder / "x").write_text("1")
    alone = timed(folder)
    (folder / "x").write_text("2")
    return flow(folder) / alone


def first_run(folder: Path) -> float:
    """Return the seconds from the start of the servers to the end of the first scheduled run."""
    cron, interval = "cron: 0 2 * * *, timezone: UTC", "interval: 15"
    text = (ROOT / "prefect.yaml").read_text("utf-8")
    assert cron in text
    deployment_file = ROOT / ".serve-bench.yaml"  # beside prefect.yaml: paths are relative to it
    ports = [free_port(), free_port()]
    env = {
        "PREFECT_HOME": str(folder / "prefect"),
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{folder / 'mlflow.db'}",
        "PREFECT_API_URL": f"http://127.0.0.1:{ports[0]}/api",
    }
    options = [f"--prefect-port={ports[0]}", f"--mlflow-port={ports[1]}"]
    start = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "flows.serve", *options],
        cwd=ROOT,
        env=os.environ | env,
        stdout=subprocess.PIPE,
        text=True,
    ) as serving:
        try:
            assert serving.stdout is not None
            for line in serving.stdout:
                if line.startswith("Ctrl-C"):
                    break
            deployment_file.write_text(text.replace(cron, interval), "utf-8")
            deploy = ["prefect", "--no-prompt", "deploy", "--prefect-file", deployment_file.name]
            run(ROOT, *deploy, "--name", "nightly", **env)
            while not completed(env["PREFECT_API_URL"]):
                time.sleep(0.2)
            return time.monotonic() - start
        finally:
            deployment_file.unlink(missing_ok=True)
            serving.terminate()
            serving.communicate()  # reads its last lines


def completed(api: str) -> int:
    """Return the number of completed flow runs on a server."""
    completed_runs = {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
    return int(requests.post(f"{api}/flow_runs/count", json=completed_runs, timeout=10).json())


def toy(folder: Path, stages: str) -> None:
    """Make a DVC repository with these stages."""
    folder.mkdir()
    run(folder, "git", "init", "--quiet")
    run(folder, "dvc", "init", "--quiet")
    (folder / "dvc.yaml").write_text(f"stages:\n{stages}", "utf-8")


def flow(folder: Path) -> float:
    """Run the flow; return the seconds in its last line, which exclude the server's start."""
    output = run(folder, sys.executable, "-m", "flows.reproduce", "--slots", "2")
    seconds = re.search(r"; ([\d.]+) s$", output.strip())
    assert seconds, output
    return float(seconds[1])


def timed(folder: Path) -> float:
    """Return the seconds that `dvc repro` takes."""
    start = time.monotonic()
    run(folder, "dvc", "repro")
    return time.monotonic() - start


def run(folder: Path, *command: str, **env: str) -> str:
    """Run a command in a folder and return its output."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    defaults = {"PATH": path, "PYTHONPATH": str(ROOT), "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | defaults | env,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    command_line.run(main)
