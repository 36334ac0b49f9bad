"""Our prediction against what a user would take instead, in turns, a ratio at the end.

Run (`make bench` makes the environment that also has PyTorch):
    .venv-bench/bin/python -m bench.predict --sizes 256x512 --batches 1 8
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

import argparse
import importlib.util
import statistics
import time
from contextlib import ExitStack

import numpy as np

from bench.alternate import PAUSE_SECONDS, Side

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


def measure(height: int, width: int, batch: int, chosen: argparse.Namespace) -> float | None:
    """Measure one size and batch; print it and return the ratio, if there is a rival."""
    options = {"shape": [batch, height, width, 3], "precision": chosen.precision}
    names = [name for name in SIDES if name in chosen.sides and _there(name, chosen.precision)]
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


def main() -> None:
    """Parse the options, measure all, print the worst ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sizes = [(160, 576), (256, 512), (500, 500)]
    parser.add_argument("--sizes", nargs="+", type=size, default=sizes)
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--precision", choices=CLOSE, default="float32")
    parser.add_argument("--whole", action="store_true", help="with decoding and encoding")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--rounds", type=int, default=9)
    chosen = parser.parse_args()
    if OURS not in chosen.sides:
        parser.error(f"--sides: {OURS} is ours and has to be among them")
    ratios = [
        measure(height, width, batch, chosen)
        for height, width in chosen.sizes
        for batch in chosen.batches
    ]
    known = [ratio for ratio in ratios if ratio is not None]
    if not known:
        print("ratio: not measured (no rival is installed; `make bench` installs PyTorch)")
        return
    print(f"ratio: {min(known):.3f}")


if __name__ == "__main__":
    main()
