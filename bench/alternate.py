"""Run two sides alternately, each in its own process, so that load affects both alike.

A side is a module with a function that returns a `Work`; `python -m bench.alternate MODULE OPTIONS`
is its process. It answers each line that it reads with the seconds that one run took.
"""

import importlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Annotated, Any, Self

from typer import Argument

from fcn.cli import command_line

PAUSE_SECONDS = 0.3
"""Between two runs: the threads of the side that has just run go to sleep."""


@dataclass(frozen=True)
class Work:
    """What a side does: `run()` is what is timed, `facts` is what else it wants to say."""

    run: Callable[[], None]
    images: int
    """Images that one run goes through."""
    facts: dict[str, Any]


class Side:
    """A process that can be asked for a run again and again."""

    def __init__(self, name: str, module: str, /, **options: Any) -> None:
        """Start it, and wait until it has warmed up."""
        self.name = name
        self.rates: list[float] = []
        """Images per second of each run."""
        command = [sys.executable, "-m", "bench.alternate", module, json.dumps(options)]
        # What libraries say while they load; shown if the side fails.
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True
        )
        ready = self._read()
        self.images: int = ready["images"]
        self.facts: dict[str, Any] = ready["facts"]

    def run(self) -> None:
        """Run once; remember how fast it was."""
        assert self.process.stdin
        print(file=self.process.stdin, flush=True)
        self.rates.append(self.images / self._read()["seconds"])

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            self.log.seek(0)
            sys.exit(f"{self.log.read()}\nerror: {self.name} ended with exit code {code}")
        return json.loads(line)

    def __enter__(self) -> Self:
        """Give the side."""
        return self

    def __exit__(self, *_: object) -> None:
        """End its process."""
        self.process.communicate()
        self.log.close()

    @property
    def rate(self) -> float:
        """Median of the runs, in images per second."""
        return statistics.median(self.rates)


def compare(
    ours: Side, others: list[Side], pairs: int, note: Callable[[Side], str] = lambda side: ""
) -> None:
    """Run all sides in turns, `pairs` times; print medians, spreads, notes and, last, the ratio.

    A ratio is the median over the pairs of ours/theirs; the last line is the first of `others`.
    """
    with ExitStack() as running:
        for side in (ours, *others):
            running.enter_context(side)
        for number in range(pairs):
            sides = [ours, *others]
            for side in sides if number % 2 == 0 else reversed(sides):
                time.sleep(PAUSE_SECONDS)
                side.run()
    for side in (ours, *others):
        spread = f"{min(side.rates):.2f} … {max(side.rates):.2f}"
        print(f"{side.name:<28} {side.rate:8.2f} images/s ({spread}){note(side)}")
    for side in reversed(others):
        ratios = [our / their for our, their in zip(ours.rates, side.rates, strict=True)]
        print(f"ours / {side.name}, {pairs} pairs: {min(ratios):.2f} … {max(ratios):.2f}")
        print(f"ratio: {statistics.median(ratios):.3f}")


def main(
    name: Annotated[str, Argument(metavar="MODULE", help="A module of `bench` with `work`.")],
    options: Annotated[str, Argument(help="The arguments of `work`, as JSON.")],
) -> None:
    """Be a side: get ready, print so, run at every line."""
    module = importlib.import_module(name)
    work: Work = module.work(**json.loads(options))
    print(json.dumps({"images": work.images, "facts": work.facts}), flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        work.run()
        print(json.dumps({"seconds": time.perf_counter() - began}), flush=True)


if __name__ == "__main__":
    command_line.run(main)
