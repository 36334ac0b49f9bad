"""A backbone from every publisher's file computes what the dense network in that file computes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from fcn.network import build, model_file
from fcn.pretrained import load
from fcn.pretrained.layer_weights import LayerWeights
from fcn.settings.backbone import PUBLISHED, Backbone, WeightsFile
from fcn.settings.network import Network
from tests import torch_files
from tests import vgg_files as vgg16

pytestmark = pytest.mark.usefixtures("seeded")
WRITERS: dict[str, tuple[str, Callable[[vgg16.Vgg, Path], Path]]] = {
    "published.h5": ("keras", vgg16.keras_1),
    "whole.h5": ("keras", vgg16.keras_saved),
    "only.weights.h5": ("keras", vgg16.keras_saved),
    "whole.keras": ("keras", vgg16.keras_saved),
    "detector.h5": ("model", vgg16.keras_detector),
    "detector.keras": ("model", vgg16.keras_detector),
    "zip.pth": ("torchvision", torch_files.saved_zip),
    "stream.pth": ("torchvision", torch_files.saved_stream),
    "v1.ckpt": ("slim", lambda vgg, path: vgg16.slim(vgg, path, version=1)),
    "v2.ckpt": ("slim", lambda vgg, path: vgg16.slim(vgg, path, version=2)),
    "vgg": ("savedmodel", vgg16.saved_model),
    "old.caffemodel": ("caffe", vgg16.caffe),
    "new.caffemodel": ("caffe", lambda vgg, path: vgg16.caffe(vgg, path, old=False)),
    "convolutional.caffemodel": (
        "caffe",
        lambda vgg, path: vgg16.caffe(vgg, path, old=False, convolutional=True),
    ),
}
MEAN = {"bgr": [103.939, 116.779, 123.68], "rgb": [123.68, 116.779, 103.939]}
TORCH_MEAN, TORCH_STD = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])


@pytest.fixture(scope="module")
def vgg() -> vgg16.Vgg:
    return vgg16.random(np.random.default_rng(3))


def shape(kind: str, **changes: Any) -> Network:
    """A network with the preprocessing of this format."""
    seen = PUBLISHED.get(kind, PUBLISHED["caffe"])
    settings = {"channel_order": seen.channel_order, "mean": seen.mean, "std": 1.0} | changes
    return Network(width=0.0625, fc_width=vgg16.FC / 4096, fc6_kernel=7, dropout=0.5, **settings)


def shown(kind: str, images: np.ndarray) -> np.ndarray:
    """RGB images B H W 3, preprocessed as by the publisher's own program, B 3 H W."""
    if kind == "torchvision":
        seen = (images / 255 - TORCH_MEAN) / TORCH_STD
    elif kind == "slim":
        seen = images - MEAN["rgb"]
    else:
        seen = images[..., ::-1] - MEAN["bgr"]
    return seen.transpose(0, 3, 1, 2)


def trained(kind: str, vgg: vgg16.Vgg) -> vgg16.Vgg:
    """The same weights for images in 0..255, which all but torchvision use."""
    kernel, bias = vgg["conv1_1"]
    return vgg if kind == "torchvision" else vgg | {"conv1_1": (kernel / 64, bias)}


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(4).integers(256, size=(2, vgg16.SIDE, vgg16.SIDE, 3))


@pytest.fixture(scope="module")
def answers(vgg: vgg16.Vgg, images: np.ndarray) -> Callable[[str], np.ndarray]:
    """The dense network's fc7 over the images, B D, computed once for each preprocessing."""
    answers: dict[str, np.ndarray] = {}

    def answer(kind: str) -> np.ndarray:
        same = kind if kind == "torchvision" else shape(kind).channel_order
        if same not in answers:
            answers[same] = vgg16.fc7(trained(kind, vgg), shown(kind, images))
        return answers[same]

    return answer


def start(network: keras.Model, kind: str, path: Path, settings: Network, **more: Any) -> Any:
    # Without the settings' check, which requires all channels.
    backbone = Backbone.model_construct(source="pretrained/own", network=settings)
    file = WeightsFile(format=kind, path=path.name, **more)
    return load.load_weights(network, backbone, file, path.parent, path.parent / "beside")


@pytest.mark.parametrize("name", WRITERS)
def test_the_convolutional_form_computes_what_the_dense_network_in_the_file_computes(
    name: str,
    vgg: vgg16.Vgg,
    images: np.ndarray,
    answers: Callable[[str], np.ndarray],
    tmp_path: Path,
) -> None:
    kind, write = WRITERS[name]
    path = write(trained(kind, vgg), tmp_path / name)
    network = build.backbone("vgg16", shape(kind), 3)
    fate = start(network, kind, path, shape(kind))
    assert fate["taken"] == [layer.name for layer in network.layers if layer.weights]
    assert len(fate["taken"]) == 15
    assert fate["random"] == []
    dense = answers(kind)
    maps = ops.convert_to_numpy(network(images.astype(np.float32)))
    assert maps.shape[1:3] == (7, 7)
    np.testing.assert_allclose(maps[:, 3, 3], dense, atol=1e-4)
    assert dense.std() > 0.1
    assert list(tmp_path.glob(".*")) == []


def test_the_reference_computes_what_keras_own_dense_network_computes(
    vgg: vgg16.Vgg, images: np.ndarray, answers: Callable[[str], np.ndarray]
) -> None:
    model = vgg16.application(trained("keras", vgg), vgg16.keras_name)
    seen = shown("keras", images)
    fc2 = keras.Model(model.input, model.get_layer("fc2").output)
    answer = ops.convert_to_numpy(fc2(seen.transpose(0, 2, 3, 1).astype(np.float32)))
    np.testing.assert_allclose(answer, answers("keras"), atol=1e-4)


def test_without_fc6_and_fc7_the_file_may_have_them_or_not(vgg: vgg16.Vgg, tmp_path: Path) -> None:
    settings = shape("caffe", fc=False)
    network = build.backbone("vgg16", settings, 3)
    with_top = start(network, "caffe", vgg16.caffe(vgg, tmp_path / "a.caffemodel"), settings)
    before = network.get_weights()
    assert with_top["in the file only"] == ["fc6", "fc7", "fc8"]
    top_less = {name: vgg[name] for name in vgg if name.startswith("conv")}
    path = vgg16.caffe(top_less, tmp_path / "b.caffemodel")
    assert start(network, "caffe", path, settings)["in the file only"] == []
    for weight, same in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, same)


def layers(network: keras.Model) -> dict[str, LayerWeights]:
    """Weights that fit the network."""
    return {
        layer.name: LayerWeights(*(weight + 1 for weight in layer.get_weights()))
        for layer in network.layers
        if layer.weights
    }


@pytest.mark.parametrize(
    ("changes", "channels", "lines"),
    [
        ({"fc7": None}, 3, ["fc7: not in the file", "in the file only: none"]),
        ({"fc6": None, "fc1": 1}, 3, ["fc6: not in the file", "in the file only: fc1"]),
        ({"conv4_2": (3, 3, 32, 16)}, 3, [r"conv4_2: \(3, 3, 32, 16\) and \(16,\) in the file"]),
        ({"fc6": (33 * 49, 24)}, 3, [r"fc6: \(1617, 24\) and \(24,\) in the file"]),
        ({"fc6": (32 * 81, 24)}, 3, [r"fc6: dense \(2592, 24\) does not fit"]),
        ({"conv1_1": (3, 3, 3, 4)}, 1, [r"conv1_1: \(3, 3, 3, 4\) .* \(3, 3, 1, 4\)"]),
        ({"conv3_1": np.nan}, 3, ["conv3_1: has values that are not finite"]),
    ],
)
def test_what_does_not_fit_is_refused_with_all_layers_and_nothing_is_taken(
    changes: dict[str, Any], channels: int, lines: list[str]
) -> None:
    network = build.backbone("vgg16", shape("keras", mean=0.0), channels)
    file_layers = layers(network)
    for name, change in changes.items():
        match change:
            case None:
                del file_layers[name]
            case tuple():
                file_layers[name] = LayerWeights(np.zeros(change), np.zeros(change[-1]))
            case 1:
                file_layers[name] = file_layers["conv1_1"]
            case _:
                file_layers[name].kernel.flat[3] = change
    before = network.get_weights()
    with pytest.raises(ValueError, match="a file does not fit vgg16") as caught:
        load.assign_weights(network, file_layers, (), "a file")
    for line in [*lines, "fits: conv1_", "in the file only: "]:
        caught.match(line)
    for weight, same in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, same)


def test_layers_that_the_settings_name_keep_their_random_start() -> None:
    network = build.backbone("vgg16", shape("keras"), 3)
    file_layers = layers(network)
    kept = network.get_layer("fc7").get_weights()[0]
    del file_layers["fc7"]
    fate = load.assign_weights(network, file_layers, ("fc6", "fc7"), "a file")
    assert fate["random"] == ["fc6", "fc7"]
    assert fate["in the file only"] == ["fc6"]
    np.testing.assert_array_equal(network.get_layer("fc7").get_weights()[0], kept)
    with pytest.raises(ValueError, match=r"fc9: `file\.scratch` names it, the network has none"):
        load.assign_weights(network, layers(network), ("fc9",), "a file")


def test_a_saved_model_records_its_own_preprocessing(tmp_path: Path) -> None:
    bgr = shape("caffe")
    source = build.backbone("vgg16", bgr, 3)
    model_file.save(source, tmp_path / "ours.keras")
    target = build.backbone("vgg16", bgr, 3)
    start(target, "model", tmp_path / "ours.keras", bgr)
    for weight, original in zip(target.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, original)
    for changes in ({"channel_order": "rgb"}, {"mean": 0.0}, {"std": 255.0}):
        with pytest.raises(
            ValueError,
            match=r"does not fit .*ours\.keras: got .*allowed: channel_order bgr, mean \[10",
        ):
            start(target, "model", tmp_path / "ours.keras", shape("caffe", **changes))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    network = build.backbone("vgg16", shape("slim"), 3)
    for kind in ("slim", "caffe", "savedmodel"):
        with pytest.raises(ValueError, match=r"missing\.one is missing; `file\.path` names"):
            start(network, kind, tmp_path / "missing.one", shape(kind))
