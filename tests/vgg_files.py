"""VGG-16 of few channels in the layout of every publisher, and its fc7 in plain NumPy.

`Vgg` has the layout of Caffe and torch: kernels (out, in, H, W), dense (out, in) over C H W.
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
from keras import layers

from fcn.pretrained import caffe_file

BLOCKS = ((2, 4), (2, 8), (3, 16), (3, 32), (3, 32))
FC = 24
CLASSES = 5
SIDE = 224
Vgg = dict[str, tuple[np.ndarray, np.ndarray]]


def random(rng: np.random.Generator) -> Vgg:
    """Weights that keep values near one through all layers."""
    shapes, into = {}, 3
    for block, (convolutions, out) in enumerate(BLOCKS, start=1):
        for number in range(1, convolutions + 1):
            shapes[f"conv{block}_{number}"], into = (out, into, 3, 3), out
    shapes |= {"fc6": (FC, into * 49), "fc7": (FC, FC), "fc8": (CLASSES, FC)}
    return {
        name: (
            rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32),
            rng.normal(0, 0.1, shape[0]).astype(np.float32),
        )
        for name, shape in shapes.items()
    }


def fc7(vgg: Vgg, images: np.ndarray) -> np.ndarray:
    """The dense network's fc7, B D, over preprocessed images B 3 H W."""
    x = images.astype(np.float64)
    for block, (convolutions, _) in enumerate(BLOCKS, start=1):
        for number in range(1, convolutions + 1):
            kernel, bias = vgg[f"conv{block}_{number}"]
            padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
            windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
            x = np.tensordot(windows, kernel, ((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2)
            x = np.maximum(x + bias[:, None, None], 0)
        batch, channels, height, width = x.shape
        x = x.reshape(batch, channels, height // 2, 2, width // 2, 2).max(axis=(3, 5))
    x = x.reshape(len(x), -1)
    for name in ("fc6", "fc7"):
        x = np.maximum(x @ vgg[name][0].T + vgg[name][1], 0)
    return x


def hwio(kernel: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(kernel.transpose(2, 3, 1, 0))


def dense_as_convolution(kernel: np.ndarray, side: int) -> np.ndarray:
    """(out, C H W) -> (H, W, C, out)."""
    return hwio(kernel.reshape(len(kernel), -1, side, side))


# Keras


def application(vgg: Vgg, names: Callable[[str], str]) -> keras.Model:
    """The dense network of keras.applications.vgg16."""
    images = x = keras.Input((SIDE, SIDE, 3))
    for block, (convolutions, out) in enumerate(BLOCKS, start=1):
        for number in range(1, convolutions + 1):
            name = names(f"conv{block}_{number}")
            x = layers.Conv2D(out, 3, padding="same", activation="relu", name=name)(x)
        x = layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
    x = layers.Flatten(name="flatten")(x)
    for name in ("fc6", "fc7"):
        x = layers.Dense(FC, activation="relu", name=names(name))(x)
    x = layers.Dense(CLASSES, name="predictions")(x)
    model = keras.Model(images, x, name="vgg16")
    for name, (kernel, bias) in vgg.items():
        own = "predictions" if name == "fc8" else names(name)
        if kernel.ndim == 4:
            kernel = hwio(kernel)
        elif name == "fc6":
            kernel = dense_as_convolution(kernel, 7).reshape(-1, FC)
        else:
            kernel = kernel.T
        model.get_layer(own).set_weights([kernel, bias])
    return model


def keras_name(name: str) -> str:
    """block1_conv1 for conv1_1, fc1 for fc6."""
    if name.startswith("conv"):
        return f"block{name[4]}_conv{name[6]}"
    return {"fc6": "fc1", "fc7": "fc2"}[name]


def keras_1(vgg: Vgg, path: Path) -> Path:
    """The layout of keras.applications' own files, written by Keras 1."""
    model = application(vgg, keras_name)
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}_{part}_1:0" for part in "Wb"] if layer.weights else []
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, value in zip(names, layer.get_weights(), strict=True):
                group[name] = value
    return path


def keras_saved(vgg: Vgg, path: Path) -> Path:
    """Written by Keras, in the format of the suffix; compiled, so it contains an optimizer."""
    model = application(vgg, keras_name)
    model.compile("sgd", "mse")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # .h5 is a legacy format
        save = model.save_weights if path.name.endswith(".weights.h5") else model.save
        save(path)
    return path


def keras_detector(vgg: Vgg, path: Path) -> Path:
    """A detector (SSD) with a nested VGG-16 model that has the paper's names."""
    inner = application(vgg, lambda name: name)
    images = keras.Input((SIDE, SIDE, 3))
    found = layers.Dense(2, name="mbox_conf")(inner(images))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keras.Model(images, found, name="ssd300").save(path)
    return path


# TensorFlow


def tensorflow(vgg: Vgg, name: Callable[[str, str], str], write: Callable[[Any], None]) -> None:
    """Make the variables, fc6 and fc7 as convolutions, and call `write` with the session."""
    import tensorflow as tf

    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.get_variable("global_step", initializer=7)
        for layer, (kernel, bias) in vgg.items():
            if kernel.ndim == 2:
                kernel = dense_as_convolution(kernel, 7 if layer == "fc6" else 1)
            else:
                kernel = hwio(kernel)
            tf.compat.v1.get_variable(name(layer, "kernel"), initializer=kernel)
            tf.compat.v1.get_variable(name(layer, "bias"), initializer=bias)
        session.run(tf.compat.v1.global_variables_initializer())
        write(session)


def slim(vgg: Vgg, path: Path, version: int) -> Path:
    """TF-Slim's checkpoint; the published one is of version 1."""
    import tensorflow as tf

    def name(layer: str, part: str) -> str:
        block = f"{layer[:5]}/" if layer.startswith("conv") else ""
        return f"vgg_16/{block}{layer}/{'weights' if part == 'kernel' else 'biases'}"

    def write(session: Any) -> None:
        saver = tf.compat.v1.train.Saver(write_version=version)
        saver.save(session, str(path), write_meta_graph=False, write_state=False)

    tensorflow(vgg, name, write)
    return path


def saved_model(vgg: Vgg, path: Path) -> Path:
    """Udacity's SavedModel: `filter` in convolutions, `weights` in fc6 and fc7."""
    import tensorflow as tf

    def name(layer: str, part: str) -> str:
        kernel = "filter" if layer.startswith("conv") else "weights"
        return f"{layer}/{kernel if part == 'kernel' else 'biases'}"

    def write(session: Any) -> None:
        builder = tf.compat.v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(session, ["vgg16"])
        builder.save()

    tensorflow({layer: vgg[layer] for layer in vgg if layer != "fc8"}, name, write)
    return path


# Caffe


def caffe(vgg: Vgg, path: Path, old: bool = True, convolutional: bool = False) -> Path:
    """VGG_ILSVRC_16_layers.caffemodel has the old layout; FCN's files are new and convolutional."""
    net = caffe_file.net_type()()
    data = (net.layers if old else net.layer).add(name="data")
    assert not data.blobs
    for name, arrays in vgg.items():
        layer = (net.layers if old else net.layer).add(name=name)
        for array in arrays:
            if convolutional and array.ndim == 2:
                side = 7 if name == "fc6" else 1
                array = array.reshape(len(array), -1, side, side)
            blob = layer.blobs.add(data=array.astype("<f4").tobytes())
            if old:
                sizes = (1,) * (4 - array.ndim) + array.shape
                blob.num, blob.channels, blob.height, blob.width = sizes
            else:
                blob.shape.dim.extend(array.shape)
    path.write_bytes(net.SerializeToString())
    return path
