"""Our prediction against what a user would take instead, in turns, a ratio at the end.

Run (`make bench` makes the environment that also has PyTorch):
    .venv-bench/bin/python -m bench.predict --sizes 256x512 --batches 1
    .venv-bench/bin/python -m bench.predict --precision bfloat16 --whole

FCN-8s on VGG-16 (fc6 and fc7 of 1,024, 21 classes), the same weights and the same picture on all
sides; what each says is compared first. `tensorflow` is ours, `--engine` in `python -m fcn`; keras
is Keras' own `predict_on_batch`. The rivals: PyTorch's same network, channels last, without
gradients; ONNX Runtime on our export, in float32 only: on a CPU it has no bfloat16; and, where it
is installed, torchvision's lraspp_mobilenet_v3_large, another and much smaller network, which is
shown and not counted. Alone is the network, images in to logits out; `--whole` is a JPEG in to a
palette PNG of the mask out.

Default sizes, height x width: KITTI's 160x576 (27 ms on a GTX 1080 Ti by its source), 256x512
(80 ms there), 500x500 (175 ms in the paper). The last line is the worst of the ratios, each the
median over the rounds of ours to the best rival.
"""

import importlib.util
import statistics
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from typer import Option

from bench.alternate import PAUSE_SECONDS, Side
from fcn.cli import command_line

SIDES = {
    "tensorflow": ("bench.predict_keras", None),
    "keras": ("bench.predict_keras", None),
    "onnx": ("bench.predict_keras", "onnxruntime"),
    "torch": ("bench.predict_torch", "torch"),
    "lraspp": ("bench.predict_torch", "torchvision"),
}
"""Name: its module, and what has to be installed for it."""
OURS, RIVALS = "tensorflow", ("onnx", "torch")
CLOSE = {"float32": 1e-3, "bfloat16": 0.05}
"""Most that the logits of two sides may differ, as a share of the largest."""


def seconds(sides: list[Side], rounds: int) -> dict[str, list[float]]:
    """Return how long each run of each side took; they run in turns, in changing order."""
    for number in range(rounds):
        for side in sides if number % 2 == 0 else reversed(sides):
            time.sleep(PAUSE_SECONDS)
            side.run()
    return {side.name: [side.images / rate for rate in side.rates] for side in sides}


def require_equal(sides: list[Side], precision: str) -> None:
    """Stop if the sides of the same network do not say the same."""
    logits = {s.name: np.array(s.facts["logits"]) for s in sides if s.facts["logits"]}
    for name, said in logits.items():
        off = np.abs(said - logits[OURS]).max() / np.abs(logits[OURS]).max()
        assert off < CLOSE[precision], f"{name} differs by {off:.2%} of the largest logit"
        if name != OURS:
            print(f"  {name} says what {OURS} says: {off:.1e} of the largest logit off at most")


@dataclass(frozen=True)
class Comparison:
    """What is compared at every size and batch."""

    precision: Annotated[Literal["float32", "bfloat16"], Option(help="Of all sides.")] = "float32"
    whole: Annotated[bool, Option("--whole", help="Decode and encode the picture too.")] = False
    sides: Annotated[
        list[str] | None,
        Option(help=f"Repeatable, {OURS} among them. Default: {', '.join(SIDES)}."),
    ] = None
    rounds: Annotated[int, Option(help="Runs of each side.")] = 9

    def __post_init__(self) -> None:
        """Check the sides."""
        if self.sides and (unknown := set(self.sides) - SIDES.keys()):
            raise ValueError(f"sides: got {', '.join(unknown)}, allowed: {', '.join(SIDES)}")
        if self.sides and OURS not in self.sides:
            raise ValueError(f"sides: {OURS} is ours and has to be among them")


def measure(height: int, width: int, batch: int, chosen: Comparison) -> float | None:
    """Measure one size and batch; print it and return the ratio, if there is a rival."""
    options = {"shape": [batch, height, width, 3], "precision": chosen.precision}
    names = [
        name for name in SIDES if name in (chosen.sides or SIDES) and _there(name, chosen.precision)
    ]
    what = "JPEG in, mask out" if chosen.whole else "network alone"
    print(f"{height}x{width}, batch {batch}, {chosen.precision}, {what}:")
    with ExitStack() as running:
        sides = [
            running.enter_context(
                Side(name, SIDES[name][0], name=name, whole=chosen.whole, **options)
            )
            for name in names
        ]
        require_equal(sides, chosen.precision)
        took = seconds(sides, chosen.rounds)
    for side in sides:
        each = np.array(took[side.name]) * 1000
        middle, slow = np.median(each), np.percentile(each, 95)
        print(
            f"  {side.name:<11} median {middle:7.1f} ms, p95 {slow:7.1f} ms, "
            f"{1000 * batch / middle:6.2f} images/s, peak {side.facts['bytes'] / 2**20:5.0f} MiB"
        )
    rivals = [took[name] for name in RIVALS if name in took]
    if not rivals:
        return None
    # In each round against the rival that was the fastest over all of them.
    best = min(rivals, key=statistics.median)
    ratios = [theirs / ours for ours, theirs in zip(took[OURS], best, strict=True)]
    middle = statistics.median(ratios)
    print(f"  ours / best rival: {middle:.3f} ({min(ratios):.2f} … {max(ratios):.2f})")
    return middle


def _there(name: str, precision: str) -> bool:
    needed = SIDES[name][1]
    if name == "onnx" and precision != "float32":
        return False
    return needed is None or importlib.util.find_spec(needed) is not None


def size(text: str) -> tuple[int, int]:
    """Return height and width of `HEIGHTxWIDTH`."""
    height, width = map(int, text.split("x"))
    return height, width


def main(
    comparison: Comparison,
    sizes: Annotated[
        list[str] | None,
        Option(help="HEIGHTxWIDTH, repeatable. Default: 160x576, 256x512 and 500x500."),
    ] = None,
    batches: Annotated[
        list[int] | None, Option(help="Pictures at once, repeatable. Default: 1 and 8.")
    ] = None,
) -> None:
    """Measure all, print the worst ratio."""
    ratios = [
        measure(*size(shape), batch, comparison)
        for shape in sizes or ("160x576", "256x512", "500x500")
        for batch in batches or (1, 8)
    ]
    known = [ratio for ratio in ratios if ratio is not None]
    if not known:
        print("ratio: not measured (no rival is installed; `make bench` installs PyTorch)")
        return
    print(f"ratio: {min(known):.3f}")


if __name__ == "__main__":
    command_line.run(main)
