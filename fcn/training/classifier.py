"""A classifier of single objects, and the backbone that it becomes.

Long et al., section 3.1: "decapitate" a classifier and make its dense layers convolutions; here as
Farhan Ahmad did for M2NIST: one trained on single digits becomes the front of the network.
"""

import hashlib
from collections.abc import Mapping, Sequence

import keras
import numpy as np
from keras import layers

from fcn.datasets.shared.dataset import Crop
from fcn.network import transfer
from fcn.network.build import find_module
from fcn.settings.backbone import Backbone, Classifier
from fcn.training import inputs, loop
from fcn.training.checkpoints import Place


def build(settings: Backbone, classifier: Classifier, channels: int, classes: int) -> keras.Model:
    """Return the dense network: images B side side C -> logits B classes.

    Up to its last pooling it is the backbone; then come its dense layers, as fc6 and fc7, and
    `score` over what is left.
    """
    images = keras.Input((classifier.side, classifier.side, channels), name="images")
    module = find_module("backbones", settings.module)
    x = module.features(images, settings.network)[module.FLATTENED]
    x = layers.Flatten(name="flatten")(x)
    for name, width in module.dense(settings.network).items():
        start = keras.initializers.HeNormal()
        x = layers.Dense(width, activation="relu", kernel_initializer=start, name=name)(x)
        x = layers.Dropout(settings.network.dropout, name=f"drop{name[-1]}")(x)
    logits = layers.Dense(classes, dtype="float32", name="score")(x)
    return keras.Model(images, logits, name="classifier")


def train(
    model: keras.Model,
    classifier: Classifier,
    crops: Mapping[str, Sequence[Crop]],
    seed: int,
    seen: loop.Seen,
    place: Place | None = None,
) -> list[loop.Epoch]:
    """Train on the crops of split `train`, measured on `val` after every epoch."""
    source = inputs.InMemory([_example(crop, classifier.side) for crop in crops["train"]])
    numbers = inputs.numbers(len(source), classifier.training, seed)
    return loop.fit(
        model,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        inputs.batches(source, classifier.training, seed),
        classifier.training,
        lambda network, _: {"val_accuracy": accuracy(network, crops["val"], classifier.side)},
        seen,
        place,
        lambda step: [f"object {number}" for number in numbers[step - 1]],
    )


def fingerprint(crops: Mapping[str, Sequence[Crop]]) -> str:
    """Return one SHA-256 over the images and labels of all splits."""
    total = hashlib.sha256()
    for split, some in sorted(crops.items()):
        total.update(f"{split} {len(some)}\n".encode())
        for crop in some:
            total.update(f"{crop.image.shape} {crop.label}\n".encode() + crop.image.tobytes())
    return total.hexdigest()


def accuracy(model: keras.Model, crops: Sequence[Crop], side: int) -> float:
    """Return the share of crops that the classifier names right."""
    examples = [_example(crop, side) for crop in crops]
    images = np.stack([example["image"] for example in examples])
    labels = np.stack([example["label"] for example in examples])
    # Not `predict`, which shares a batch out over devices and fails where it does not divide.
    logits = keras.ops.convert_to_numpy(model.predict_on_batch(images))
    return float((logits.argmax(axis=-1) == labels).mean())


def decapitate(dense: keras.Model, backbone: keras.Model) -> None:
    """Give the backbone the classifier's weights, its dense fc6 and fc7 as convolutions.

    Dense layers without a namesake in the backbone are thrown away.
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


def _example(crop: Crop, side: int) -> inputs.Example:
    """Return the crop in the middle of a black square; class 0 of the data set is no object."""
    height, width = crop.image.shape
    if max(height, width) > side:
        raise ValueError(f"classifier.side: got {side}, but a crop is {height}x{width}")
    image = np.zeros((side, side, 1), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    image[top : top + height, left : left + width, 0] = crop.image
    return {"image": image, "label": np.array(crop.label - 1, np.int32)}
