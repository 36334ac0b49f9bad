"""Our training step against PyTorch's: FCN-8s on VGG-16, alternating runs, a ratio at the end.

Run (`make bench` makes the environment that also has PyTorch):
    .venv-bench/bin/python -m bench.train_step --precision mixed_bfloat16

The rivals: `torch`, the same network in plain PyTorch, channels last, fused Adam, on a GPU
compiled; where they are installed `smp`, segmentation_models_pytorch's FPN on VGG-16, and
`torchvision`'s FCN on ResNet-50: other networks, common alternatives. A step is
whole: pixels to the device, forward, backward, Adam, the loss read back. The peak is the fastest
product of two 2048x2048 matrices (on a GPU 8192) by either library in the same precision.
"""

import importlib.util
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from typer import Option

from bench.alternate import Side, compare
from fcn.cli import command_line

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


@dataclass(frozen=True)
class Step:
    """What one training step works on."""

    precision: Annotated[Literal["float32", "mixed_bfloat16"], Option(help="Of both sides.")] = (
        "float32"
    )
    device: Annotated[Literal["cpu", "gpu"], Option(help="Of both sides.")] = "cpu"
    height: Annotated[int, Option(help="Of an image in pixels.")] = 192
    width: Annotated[int, Option(help="Of an image in pixels.")] = 256
    batch: Annotated[int, Option(help="Images in a batch.")] = 4
    classes: Annotated[int, Option(help="Of the logits.")] = 21
    fc: Annotated[int, Option(help="Channels of fc6 and fc7.")] = 1024
    steps: Annotated[int, Option(help="Training steps in one run.")] = 3


def main(
    step: Step,
    backend: Annotated[Literal["tensorflow", "jax"], Option(help="Of our side.")] = "tensorflow",
    rivals: Annotated[
        list[str] | None, Option(help=f"Repeatable. Default: {', '.join(RIVALS)}.")
    ] = None,
    pairs: Annotated[int, Option(help="Runs of each side.")] = 7,
) -> None:
    """Start the sides and compare them."""
    print(
        f"{step.device}, {step.precision}, batch {step.batch} of "
        f"{step.height}x{step.width}, fc6 and fc7 of {step.fc}"
    )
    if step.device == "gpu" and not list(Path("/dev").glob("nvidia[0-9]*")):
        print("ratio: not measured (no GPU here)")
        return
    if step.device == "gpu" and not _torch_sees_a_gpu():
        print("ratio: not measured (this PyTorch sees no GPU)")
        return
    if step.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    shared = {
        "device": step.device,
        "precision": step.precision,
        "shape": [step.batch, step.height, step.width, 3],
        "classes": step.classes,
        "fc": step.fc,
        "steps": step.steps,
    }
    names = rivals or list(RIVALS)
    if unknown := set(names) - RIVALS.keys():
        raise ValueError(f"rivals: got {', '.join(unknown)}, allowed: {', '.join(RIVALS)}")
    installed = [name for name in names if importlib.util.find_spec(RIVALS[name])]
    for name in (name for name in names if name not in installed):
        print(f"{name}: not installed, not measured")
    if not installed:
        print("ratio: not measured (no rival is installed; `make bench` installs PyTorch)")
        return
    ours = Side(f"ours, {backend}", "bench.step_keras", backend=backend, **shared)
    others = [Side(name, "bench.step_torch", name=name, **shared) for name in installed]
    fastest = max(side.facts["peak"] for side in (ours, *others))
    print(f"matrix peak: {fastest / 1e9:.0f} GFLOP/s")

    def note(side: Side) -> str:
        flops = side.facts.get("flops", others[0].facts["flops"] if side is ours else 0)
        share = f"{side.rate * flops / fastest:.0%} of the peak"
        return f"; {share}; {side.facts['parameters'] / 1e6:.1f} M parameters"

    compare(ours, others, pairs, note)


if __name__ == "__main__":
    command_line.run(main)
