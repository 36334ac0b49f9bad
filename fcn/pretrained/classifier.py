"""A classifier of single objects, and its conversion to a backbone.

Long et al., section 3.1: "decapitate" a classifier and turn its dense layers into convolutions.
Farhan Ahmad did so for M2NIST with a classifier of single digits.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence

import keras
import numpy as np
from keras import layers

from fcn.network.build import find_module
from fcn.records.sample import ObjectCrop
from fcn.settings.backbone import Backbone, Classifier
from fcn.training import inputs, loop, transfer
from fcn.training.augmentation import Arrays
from fcn.training.checkpoints import CheckpointStore


def build(settings: Backbone, classifier: Classifier, channels: int, classes: int) -> keras.Model:
    """Return the dense network: images B side side C -> logits B classes.

    Up to the last pooling it is the backbone; dense layers fc6 and fc7 and the dense layer `score`
    follow.
    """
    images = keras.Input((classifier.side, classifier.side, channels), name="images")
    module = find_module("backbones", settings.module)
    x = module.features(images, settings.network)[module.FLATTENED]
    x = layers.Flatten(name="flatten")(x)
    for name, width in module.dense(settings.network).items():
        initializer = keras.initializers.HeNormal()
        x = layers.Dense(width, activation="relu", kernel_initializer=initializer, name=name)(x)
        x = layers.Dropout(settings.network.dropout, name=f"drop{name[-1]}")(x)
    logits = layers.Dense(classes, dtype="float32", name="score")(x)
    return keras.Model(images, logits, name="classifier")


def train(
    model: keras.Model,
    classifier: Classifier,
    crops: Mapping[str, Sequence[ObjectCrop]],
    seed: int,
    log: Callable[[Mapping[str, float], int], None],
    store: CheckpointStore | None = None,
) -> list[loop.Epoch]:
    """Train on the crops of split `train`; measure the accuracy on `val` after every epoch."""
    source = inputs.MemorySource([_sample(crop, classifier.side) for crop in crops["train"]])
    numbers = inputs.sample_numbers(len(source), classifier.training, seed)
    callbacks = loop.Callbacks(
        evaluate=lambda network, _: {
            "val_accuracy": accuracy(network, crops["val"], classifier.side)
        },
        log=log,
        sample_ids=lambda step: [f"object {number}" for number in numbers[step - 1]],
    )
    return loop.fit(
        model,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        inputs.batches(source, classifier.training, seed),
        classifier.training,
        callbacks,
        store,
    )


def fingerprint(crops: Mapping[str, Sequence[ObjectCrop]]) -> str:
    """Return one SHA-256 over the images and labels of all splits."""
    sha256 = hashlib.sha256()
    for split, members in sorted(crops.items()):
        sha256.update(f"{split} {len(members)}\n".encode())
        for crop in members:
            sha256.update(f"{crop.image.shape} {crop.label}\n".encode() + crop.image.tobytes())
    return sha256.hexdigest()


def accuracy(model: keras.Model, crops: Sequence[ObjectCrop], side: int) -> float:
    """Return the share of crops that the classifier labels correctly."""
    samples = [_sample(crop, side) for crop in crops]
    images = np.stack([sample["image"] for sample in samples])
    labels = np.stack([sample["label"] for sample in samples])
    # Not `predict`: it splits a batch over devices and fails where the size does not divide.
    logits = keras.ops.convert_to_numpy(model.predict_on_batch(images))
    return float((logits.argmax(axis=-1) == labels).mean())


def decapitate(dense: keras.Model, backbone: keras.Model) -> None:
    """Give the backbone the classifier's weights, with dense fc6 and fc7 as convolutions.

    Dense layers without a layer of the same name in the backbone are dropped.
    """
    flatten = dense.get_layer("flatten")
    below = dense.layers[dense.layers.index(flatten) - 1].name
    headless = keras.Model(dense.input, flatten.output, name=dense.name)
    trunk = keras.Model(backbone.input, backbone.get_layer(below).output, name=backbone.name)
    transfer.transplant(headless, trunk)
    convolutions = {layer.name: layer for layer in backbone.layers}
    for layer in dense.layers:
        if isinstance(layer, layers.Dense) and layer.name in convolutions:
            transfer.convolutionalize(layer, convolutions[layer.name])


def _sample(crop: ObjectCrop, side: int) -> Arrays:
    """Return the crop in the middle of a black square; labels start after class 0, background."""
    height, width = crop.image.shape
    if max(height, width) > side:
        raise ValueError(
            f"classifier.side: got {side}, but a crop is {height}x{width} (height x width)"
        )
    image = np.zeros((side, side, 1), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    image[top : top + height, left : left + width, 0] = crop.image
    return {"image": image, "label": np.array(crop.label - 1, np.int32)}
