"""Networks built from settings: a head on a backbone, each one file that is found by its name.

A network takes images B H W C in 0..255 of any H and W and returns logits B H W K of the same size.
"""

import fnmatch
import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Literal

import keras

from fcn.common.text import nearest
from fcn.network import odd_decoder
from fcn.network.decoder import SCORES, Decoder, Features
from fcn.network.layers import AreaResize, ResizeLike
from fcn.settings.network import Network, Start


def find_module(package: Literal["backbones", "heads"], name: str) -> ModuleType:
    """Return the module `fcn/<package>/<name>.py`.

    Raises:
        ValueError: no file has this name.
    """
    folder = importlib.import_module(f"fcn.{package}")
    names = [module.name for module in pkgutil.iter_modules(folder.__path__)]
    if name not in names:
        raise ValueError(f"no file {name!r} in fcn/{package}/; {nearest(name, names)}")
    return importlib.import_module(f"fcn.{package}.{name}")


def backbone(name: str, settings: Network, channels: int) -> keras.Model:
    """Build a fully convolutional backbone without `resize`: images B H W C -> its last map.

    Raises:
        ValueError: the settings do not fit the backbone.
    """
    images = keras.Input((None, None, channels), name="images")
    features = find_module("backbones", name).features(images, settings)
    model = keras.Model(images, features["last"], name=name)
    normalised = any(isinstance(x, keras.layers.BatchNormalization) for x in model.layers)
    if settings.batch_norm == "trained" and not normalised:
        raise ValueError(
            f"batch_norm: got trained, allowed with the backbone {name}, which has no batch "
            "normalisation: folded"
        )
    return model


def network(
    head: str,
    backbone_name: str,
    settings: Network,
    channels: int,
    classes: int,
    upsampling: Start | Mapping[str, Start] | None = None,
) -> keras.Model:
    """Build a segmentation network: images B H W C -> logits B H W K.

    Raises:
        ValueError: the head does not fit the backbone, or `upsampling` names no layer.
    """
    images = x = keras.Input((None, None, channels), name="images")
    if settings.resize != 1:
        x = AreaResize(settings.resize, dtype=SCORES, name="resize")(images)
    features = Features(find_module("backbones", backbone_name).features(x, settings))
    kind = odd_decoder.OddDecoder if odd_decoder.fits(features["last"]) else Decoder
    decoder = kind(classes, settings.padding, upsampling)
    logits = find_module("heads", head).logits(x, features, decoder)
    if settings.resize != 1:
        logits = ResizeLike(dtype=SCORES, name="resize_logits")([logits, images])
    model = keras.Model(images, logits, name=head)
    if isinstance(upsampling, Mapping):
        names = [x.name for x in model.layers if isinstance(x, keras.layers.Conv2DTranspose)]
        for name in upsampling.keys() - names:
            raise ValueError(f"upsampling: no layer {name!r} upsamples; {nearest(name, names)}")
    return model


def freeze(model: keras.Model, patterns: Iterable[str]) -> None:
    """Exclude layers from training by name or pattern: `conv1_1`, `conv1*`.

    Raises:
        ValueError: a pattern matches no layer with weights, or no layer is left to train.
    """
    layers = {layer.name: layer for layer in model.layers if layer.weights}
    for pattern in patterns:
        names = fnmatch.filter(layers, pattern)
        if not names:
            raise ValueError(f"freeze: no layer {pattern!r} learns; {nearest(pattern, layers)}")
        for name in names:
            layers[name].trainable = False
    if not model.trainable_weights:
        raise ValueError(f"freeze: {', '.join(patterns)} leaves nothing to learn")


def resize_factor(model: keras.Model) -> float:
    """Return the factor by which a network resizes its images, also where it is part of another."""
    for layer in model.layers:
        if isinstance(layer, AreaResize):
            return layer.factor
        if isinstance(layer, keras.Model) and (factor := resize_factor(layer)) != 1:
            return factor
    return 1.0


def stride(head: str, settings: Network) -> int:
    """Return the distance of two neighbouring scores of the head in pixels of the image."""
    return max(1, round(find_module("heads", head).STRIDE / settings.resize))
