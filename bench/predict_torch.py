"""Sides of bench.predict that run PyTorch: the same FCN-8s, or torchvision's small network."""

import numpy as np
import torch
from torch import nn

from bench.alternate import Work
from bench.predict_side import CLASSES, FC, kernel
from bench.predict_side import work as answered
from bench.step_torch import BLOCKS, FCN8s


def work(name: str, shape: list[int], precision: str, whole: bool) -> Work:
    """Return one answer of PyTorch, channels last, without gradients."""
    if name == "lraspp":
        from torchvision.models.segmentation import lraspp_mobilenet_v3_large

        model: nn.Module = lraspp_mobilenet_v3_large(
            weights=None, weights_backbone=None, num_classes=CLASSES
        )
    else:
        model = fcn8s()
    model = model.eval().to(memory_format=torch.channels_last)
    half = precision == "bfloat16"

    def network(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
            # B H W C in memory is B C H W in channels-last order: nothing is copied.
            logits = model(torch.from_numpy(images).permute(0, 3, 1, 2).float())
        logits = logits["out"] if isinstance(logits, dict) else logits
        return logits.float().permute(0, 2, 3, 1).numpy()

    return answered(network, shape, whole, compared=name == "torch")


def fcn8s() -> nn.Module:
    """Return FCN-8s with the weights that our side has."""
    model = FCN8s(CLASSES, FC)
    names = [
        f"conv{block}_{n + 1}" for block, (count, _) in enumerate(BLOCKS, 1) for n in range(count)
    ]
    convolutions = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    names += ["fc6", "fc7", "score_fr", "score_pool4", "score_pool3"]
    for layer, name in zip(convolutions, names, strict=True):
        # h w C D -> D C h w
        out, into, high, wide = layer.weight.shape
        weights = kernel(name, (high, wide, into, out)).transpose(3, 2, 0, 1)
        layer.weight.data = torch.from_numpy(np.ascontiguousarray(weights))
        nn.init.zeros_(layer.bias)
    for layer in model.modules():
        if isinstance(layer, nn.ConvTranspose2d):
            layer.weight.data = bilinear(*layer.weight.shape[:3])
    return model


def bilinear(classes: int, _: int, side: int) -> torch.Tensor:
    """Return the kernel of bilinear upsampling, each class on its own: Long et al., section 3.3."""
    ramp = 1 - (torch.arange(side) - (side - 1) / 2).abs() / (side / 2)
    return torch.einsum("io,h,w->iohw", torch.eye(classes), ramp, ramp)
