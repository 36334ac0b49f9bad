"""Crops follow from the layers, and equal the published ones."""

import keras
import numpy as np
import pytest
from keras import ops

from fcn.network import alignment, build
from fcn.settings.network import Network

pytestmark = pytest.mark.usefixtures("seeded")
CROPS = {
    # Published in shelhamer/fcn.berkeleyvision.org: voc-fcn32s, voc-fcn16s, voc-fcn8s.
    "fcn32s": {"upscore32": 19},
    "fcn16s": {"score_pool4": 5, "upscore16": 27},
    "fcn8s": {"score_pool4": 5, "score_pool3": 9, "upscore8": 31},
    "fcn8s_at_once": {"score_pool4": 5, "score_pool3": 9, "upscore8": 31},
}


def crops(model: keras.Model) -> dict[str, int]:
    found = {x.name: x.offset for x in model.layers if x.name.endswith("_crop")}
    return {name.removesuffix("_crop"): offset for name, offset in found.items() if offset}


def as_in_the_paper(tiny: Network, **changed: object) -> Network:
    return tiny.model_copy(update={"padding": "pad100", "fc6_kernel": 7, **changed})


@pytest.mark.parametrize("head", CROPS)
def test_the_papers_crops_are_derived(head: str, tiny: Network) -> None:
    padded = build.network(head, "vgg16", as_in_the_paper(tiny), 1, 3)
    assert crops(padded) == CROPS[head]
    assert crops(build.network(head, "vgg16", tiny, 1, 3)) == {}


@pytest.mark.parametrize("changed", [{"fc6_kernel": 3}, {"fc6_kernel": 1}, {"fc": False}], ids=str)
def test_other_backbones_are_aligned_too(changed: dict, tiny: Network) -> None:
    model = build.network("fcn8s", "vgg16", as_in_the_paper(tiny, **changed), 1, 1)
    for layer in ("fuse_pool4", "fuse_pool3"):
        coarse, fine = (alignment.alignment_of(x) for x in model.get_layer(layer).input)
        assert coarse == fine
    assert alignment.alignment_of(model.outputs[0]) == (1, 0)


def test_maps_that_no_crop_aligns_are_refused(tiny: Network) -> None:
    with pytest.raises(
        ValueError,
        match=r"upscore32 has stride 0\.125 and offset .*, images stride 1 and offset 0: no crop",
    ):
        build.network("fcn32s", "mnist_small", tiny, 1, 3)


def test_a_maps_alignment_is_the_centre_of_its_receptive_field() -> None:
    """The centre is measured by images of one white row each."""
    images = keras.Input((80, 80, 1))
    x = keras.layers.ZeroPadding2D(4)(images)
    x = keras.layers.Conv2D(1, 5, padding="valid", kernel_initializer="ones")(x)
    x = keras.layers.Conv2D(1, 3, padding="same", kernel_initializer="ones")(x)
    x = keras.layers.Conv2D(1, 2, strides=2, kernel_initializer="ones")(x)
    x = keras.layers.Conv2DTranspose(1, 4, strides=2, padding="same", kernel_initializer="ones")(x)
    model, expected = keras.Model(images, x), alignment.alignment_of(x)
    pictures = np.eye(80, dtype=np.float32).reshape(80, 80, 1, 1) * np.ones((1, 1, 80, 1))
    rows = ops.convert_to_numpy(model(pictures))[:, 20, 20, 0]
    field = np.flatnonzero(rows)
    centre = np.average(field, weights=rows[field])
    # The receptive field of this upsampling leans to one side and the other by turns.
    assert abs(centre - (expected.offset + expected.stride * 20)) <= 0.5
    assert expected.stride == 1
