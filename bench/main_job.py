"""Compare two commits by the main job: the whole default table, from nothing in a fresh clone.

Run:
    python -m bench.main_job 918b8e0 HEAD --pairs 3

Each run clones this repository into a temporary folder, checks out a commit and measures
`python -m flows.reproduce` there. The commits alternate, and every other pair begins with the new
one. The last line is the ratio of the times, old / new, as the median over the pairs: at least 2.5.
Peak memory of all processes of a run: at most 2 GiB. Nothing else should run on the machine.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from bench.measure import Measurement, measure
from fcn.cli import command_line
from fcn.common import files

ROOT = Path(__file__).parents[1]
CONNECTED = ("DVC_", "FCN_", "MLFLOW_", "PREFECT_", "PYTHON")
"""Prefixes of the environment variables that would connect a run to something outside its clone."""


def main_job(
    old: Annotated[str, Argument(help="The commit to compare with.")],
    new: Annotated[str, Argument(help="The commit to judge.")] = "HEAD",
    pairs: Annotated[int, Option(min=1, help="Runs of each commit.")] = 3,
    python: Annotated[
        Path, Option(help="The interpreter that runs both, with the environment installed.")
    ] = Path(sys.executable),
) -> None:
    """Measure both commits alternately; print each run, the medians and the ratio."""
    sides = [(name, find_commit(name), list[Measurement]()) for name in (old, new)]
    for number in range(pairs):
        for name, commit, measurements in sides if number % 2 == 0 else reversed(sides):
            measurement, scores = reproduce(commit, python)
            measurements.append(measurement)
            print(f"{name}: {measurement}; mean IoU: {scores}", flush=True)
    for name, _, measurements in sides:
        seconds = [measurement.seconds for measurement in measurements]
        peak = max(measurement.peak_bytes for measurement in measurements) / 2**30
        spread = f"{min(seconds):.1f} … {max(seconds):.1f}"
        print(f"{name}: median {statistics.median(seconds):.1f} s ({spread}), peak {peak:.2f} GiB")
    pairwise = zip(*(measurements for _, _, measurements in sides), strict=True)
    ratios = [before.seconds / after.seconds for before, after in pairwise]
    print(f"{old} / {new}, {pairs} pairs: {min(ratios):.2f} … {max(ratios):.2f}")
    print(f"ratio: {statistics.median(ratios):.3f}")


def find_commit(name: str) -> str:
    """Return the hash of a commit of this repository.

    Raises:
        ValueError: there is no such commit.
    """
    command = ["git", "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f"{ROOT} has no commit {name!r}; `git log --oneline` lists its commits")
    return done.stdout.strip()


def reproduce(commit: str, python: Path) -> tuple[Measurement, str]:
    """Run the main job of a commit; return what it took, and the mean IoU of each row in percent.

    Raises:
        ValueError: the job failed; the message ends with its output.
    """
    with tempfile.TemporaryDirectory(prefix="main-job-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        clone, log = folder / "clone", folder / "log"
        subprocess.run(
            ["git", "clone", "--quiet", "--shared", "--no-checkout", str(ROOT), str(clone)],
            check=True,
        )
        subprocess.run(["git", "checkout", "--quiet", "--detach", commit], cwd=clone, check=True)
        env = {name: text for name, text in os.environ.items() if not name.startswith(CONNECTED)}
        with log.open("wb") as output:
            measurement = measure(
                # Not resolved: the interpreter of a virtual environment is a link.
                [str(python.absolute()), "-m", "flows.reproduce"],
                cwd=clone,
                env=env | {"DVC_NO_ANALYTICS": "1", "PREFECT_HOME": str(folder / "prefect")},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        if measurement.code:
            end = log.read_text("utf-8", "replace")[-2000:]
            raise ValueError(f"flows.reproduce of {commit} ended with {measurement.code}:\n{end}")
        return measurement, mean_iou(clone / "data/metrics/digits")


def mean_iou(folder: Path) -> str:
    """Return the mean IoU in percent of each evaluated network."""
    rows = {path.stem: files.read_json(path) for path in sorted(folder.glob("digits-fcn*.json"))}
    return ", ".join(f"{key} {100 * scores['mean_iou']:.1f}" for key, scores in rows.items())


if __name__ == "__main__":
    command_line.run(main_job)
