"""EfficientNet-Lite0: its size, the alignment of its maps and heads, and what can be frozen."""

import keras
import numpy as np
import pytest
from keras import ops

from fcn.network import alignment, build
from fcn.settings.network import Network
from tests.shipped import names

pytestmark = pytest.mark.usefixtures("seeded")
MODULE = "efficientnet_lite0"
STRIDES = {"block2": 2, "block3": 4, "block4": 8, "block5": 16}
STRIDES |= {"pool2": 4, "pool3": 8, "pool4": 16, "last": 32}
HEADS = [head for head in names("fcn/heads") if not head.startswith("m2nist")]


def pass_on(model: keras.Model) -> keras.Model:
    """Make every convolution return the first channel at the centre of its window."""
    residual = {x.name.removesuffix("_add") for x in model.layers if x.name.endswith("_add")}
    for layer in model.layers:
        if not layer.weights or isinstance(layer, keras.layers.Conv2DTranspose):
            continue
        kernel = np.zeros(layer.kernel.shape)
        centre = kernel.shape[0] // 2
        if isinstance(layer, keras.layers.DepthwiseConv2D) or layer.name.startswith("score"):
            kernel[centre, centre, 0, :] = 1
        elif not (layer.name.endswith("project") and layer.name.split("_")[0] in residual):
            kernel[centre, centre, 0, 0] = 1
        layer.set_weights([kernel, np.zeros(layer.bias.shape)])
    return model


def test_at_width_one_it_has_the_published_parameters(tiny: Network) -> None:
    settings = tiny.model_copy(update={"width": 1.0, "batch_norm": "trained"})
    with keras.StatelessScope(initialize_variables=False):  # shapes only
        model = build.backbone(MODULE, settings, 3)
        shapes = [weight.shape for weight in model.trainable_weights]
    classifier = 1280 * 1000 + 1000
    assert sum(int(np.prod(shape)) for shape in shapes) + classifier == 4_652_008


@pytest.mark.parametrize(("height", "width"), [(64, 96), (70, 33)])
def test_a_map_is_the_image_at_the_positions_that_its_alignment_gives(
    height: int, width: int, tiny: Network, rng: np.random.Generator
) -> None:
    images = keras.Input((None, None, 1))
    features = build.find_module("backbones", MODULE).features(images, tiny)
    assert features.keys() == STRIDES.keys()
    model = pass_on(keras.Model(images, features["last"]))
    maps = keras.Model(model.input, list(features.values()))
    image = rng.integers(1, 256, size=(1, height, width, 1))
    padded = np.pad(image / 255, ((0, 0), (0, -height % 32), (0, -width % 32), (0, 0)))
    for (name, x), got in zip(features.items(), maps(image), strict=True):
        stride, offset = alignment.alignment_of(x)
        assert stride == STRIDES[name]
        expected = padded[0, int(offset) :: int(stride), int(offset) :: int(stride), 0]
        np.testing.assert_allclose(ops.convert_to_numpy(got)[0, ..., 0], expected, atol=1e-6)


@pytest.mark.parametrize("head", HEADS)
def test_a_head_puts_scores_where_their_pixels_are(head: str, tiny: Network) -> None:
    """Of an image whose values rise linearly, bilinear upsampling is exact."""
    model = pass_on(build.network(head, MODULE, tiny, 1, 2, "bilinear"))
    height, width = 101, 70
    rows, columns = np.mgrid[:height, :width]
    ramp = 20.0 + rows + 2 * columns
    scores = ops.convert_to_numpy(model(ramp[None, ..., None]))
    assert scores.shape == (1, height, width, 2)
    # Between the first and the last position of the coarsest map that is inside the image.
    inside = np.s_[31:96, 31:64]
    ratio = scores[0, ..., 0][inside] / ramp[inside]
    assert ratio.min() > 0
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-4)


@pytest.mark.parametrize("batch_norm", ["folded", "trained"])
def test_blocks_are_frozen_by_their_names(batch_norm: str, tiny: Network) -> None:
    settings = tiny.model_copy(update={"batch_norm": batch_norm})
    model = build.network("fcn8s", MODULE, settings, 1, 2)
    build.freeze(model, ["stem*", "block[0-2]_*"])
    frozen = {x.name.split("_")[0] for x in model.layers if x.weights and not x.trainable}
    trained = {x.name.split("_")[0] for x in model.layers if x.weights and x.trainable}
    assert frozen == {"stem", "block0", "block1", "block2"}
    assert not frozen & trained
    assert {"block3", "block10", "head", "score"} <= trained


def test_other_padding_is_refused(tiny: Network) -> None:
    with pytest.raises(ValueError, match="padding: got pad100, allowed with the backbone eff"):
        build.backbone(MODULE, tiny.model_copy(update={"padding": "pad100"}), 1)


def test_batch_norm_is_refused_where_there_is_none(tiny: Network) -> None:
    with pytest.raises(ValueError, match="batch_norm: got trained, allowed with the backbone vgg"):
        build.backbone("vgg16", tiny.model_copy(update={"batch_norm": "trained"}), 1)
