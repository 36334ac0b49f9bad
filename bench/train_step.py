"""Our training step against PyTorch's: FCN-8s on VGG-16, alternating runs, a ratio at the end.

Run (`make bench` makes the environment that also has PyTorch):
    .venv-bench/bin/python -m bench.train_step --precision mixed_bfloat16

The rivals: `torch`, the same network in plain PyTorch, channels last, fused Adam, on a GPU
compiled; where they are installed `smp`, segmentation_models_pytorch's FPN on VGG-16, and
`torchvision`'s FCN on ResNet-50: other networks, what somebody would take instead. A step is
whole: pixels to the device, forward, backward, Adam, the loss read back. The peak is the fastest
product of two 2048x2048 matrices (on a GPU 8192) by either library in the same precision.
"""

import argparse
import importlib.util
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench.alternate import Side, compare

RIVALS = {"torch": "torch", "smp": "segmentation_models_pytorch", "torchvision": "torchvision"}
"""Name: the module that has to be installed."""


def random_batch(shape: list[int], classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images uint8 B H W C and labels uint8 B H W, the same on all sides."""
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=shape, dtype=np.uint8)
    return images, rng.integers(classes, size=shape[:3], dtype=np.uint8)


def peak(multiply: Callable[[], None], side: int, runs: int = 5) -> float:
    """Return the FLOP/s of the fastest of `runs` products of two matrices of this side."""
    multiply()
    seconds = []
    for _ in range(runs):
        began = time.perf_counter()
        multiply()
        seconds.append(time.perf_counter() - began)
    return 2 * side**3 / min(seconds)


def _torch_sees_a_gpu() -> bool:
    if importlib.util.find_spec("torch") is None:
        return False
    import torch

    return bool(torch.cuda.is_available())


def main() -> None:
    """Parse the options, start the sides, compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backend", choices=("tensorflow", "jax"), default="tensorflow")
    parser.add_argument("--precision", choices=("float32", "mixed_bfloat16"), default="float32")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--rivals", nargs="+", choices=RIVALS, default=list(RIVALS))
    for name, value in {"height": 192, "width": 256, "batch": 4, "classes": 21, "fc": 1024}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--steps", type=int, default=3, help="training steps in one run")
    options = parser.parse_args()
    print(
        f"{options.device}, {options.precision}, batch {options.batch} of "
        f"{options.height}x{options.width}, fc6 and fc7 of {options.fc}"
    )
    if options.device == "gpu" and not list(Path("/dev").glob("nvidia[0-9]*")):
        print("ratio: not measured (no GPU here)")
        return
    if options.device == "gpu" and not _torch_sees_a_gpu():
        print("ratio: not measured (this PyTorch sees no GPU)")
        return
    if options.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    shared = {
        "device": options.device,
        "precision": options.precision,
        "shape": [options.batch, options.height, options.width, 3],
        "classes": options.classes,
        "fc": options.fc,
        "steps": options.steps,
    }
    there = [name for name in options.rivals if importlib.util.find_spec(RIVALS[name])]
    for name in (name for name in options.rivals if name not in there):
        print(f"{name}: not installed, not measured")
    if not there:
        print("ratio: not measured (no rival is installed; `make bench` installs PyTorch)")
        return
    ours = Side(f"ours, {options.backend}", "bench.step_keras", backend=options.backend, **shared)
    others = [Side(name, "bench.step_torch", name=name, **shared) for name in there]
    fastest = max(side.facts["peak"] for side in (ours, *others))
    print(f"matrix peak: {fastest / 1e9:.0f} GFLOP/s")

    def note(side: Side) -> str:
        flops = side.facts.get("flops", others[0].facts["flops"] if side is ours else 0)
        share = f"{side.rate * flops / fastest:.0%} of the peak"
        return f"; {share}; {side.facts['parameters'] / 1e6:.1f} M parameters"

    compare(ours, others, options.pairs, note)


if __name__ == "__main__":
    main()
