from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from fcn.network import backend, build, model_file
from fcn.settings import reader
from fcn.settings.network import Network
from tests import toy
from tests.instruction_set import needs_bfloat16

pytestmark = pytest.mark.usefixtures("seeded")
CLASSES = 3
BACKBONE = [
    "conv1_1 conv1_2 pool1 conv2_1 conv2_2 pool2 conv3_1 conv3_2 conv3_3 pool3",
    "conv4_1 conv4_2 conv4_3 pool4 conv5_1 conv5_2 conv5_3 pool5 fc6 drop6 fc7 drop7",
]
PAPER = {
    "fcn32s": "score_fr upscore32",
    "fcn16s": "score_fr score_pool4 upscore2 fuse_pool4 upscore16",
    "fcn8s": "score_fr score_pool4 score_pool3 upscore2 fuse_pool4 upscore_pool4 fuse_pool3"
    " upscore8",
    "fcn4s": "score_fr score_pool4 score_pool3 score_pool2 upscore2 fuse_pool4 upscore_pool4"
    " fuse_pool3 upscore_pool3 fuse_pool2 upscore4",
    "fcn8s_at_once": "scale_pool4 scale_pool3 score_fr score_pool4 score_pool3 upscore2 fuse_pool4"
    " upscore_pool4 fuse_pool3 upscore8",
}


def logits(model: keras.Model, images: np.ndarray) -> np.ndarray:
    return ops.convert_to_numpy(model(images))


@pytest.mark.parametrize("head", PAPER)
def test_scores_start_at_zero(head: str, tiny: Network, rng: np.random.Generator) -> None:
    model = build.network(head, "vgg16", tiny, 1, CLASSES)
    assert not logits(model, rng.integers(256, size=(1, 40, 50, 1))).any()


@pytest.mark.parametrize("head", PAPER)
def test_layers_have_the_papers_names(head: str, tiny: Network) -> None:
    names = [layer.name for layer in toy.network(tiny, 1, CLASSES, head).layers]
    wanted = " ".join([*BACKBONE, PAPER[head]]).split()
    assert [name for name in names if name in wanted] == [
        name for name in names if not name.endswith("_crop") and name not in ("images", "normalise")
    ]
    assert set(wanted) <= set(names)


def test_at_width_one_it_is_vgg16_as_published(tiny: Network) -> None:
    model = build.backbone("vgg16", tiny.model_copy(update={"fc6_kernel": 7}), 3)
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert [layer.filters / tiny.width for layer in convolutions] == [
        *(64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512),
        *(4096, 4096),
    ]
    assert [layer.kernel_size for layer in convolutions] == [(3, 3)] * 13 + [(7, 7), (1, 1)]


def test_at_width_one_with_21_classes_it_has_the_papers_134_million_parameters(
    tiny: Network,
) -> None:
    published = tiny.model_copy(update={"width": 1.0, "fc6_kernel": 7})
    with keras.StatelessScope(initialize_variables=False):  # shapes only, half a GB saved
        model = build.network("fcn32s", "vgg16", published, 3, 21)
        shapes = [w.shape for layer in model.layers[:-2] for w in layer.weights]
    assert model.layers[-3].name == "score_fr"
    assert round(sum(int(np.prod(shape)) for shape in shapes) / 1e6) == 134


def test_fc6_and_fc7_have_a_width_of_their_own_or_are_left_out(tiny: Network) -> None:
    def channels(**changed: object) -> list[int]:
        model = build.backbone("vgg16", tiny.model_copy(update=changed), 1)
        return [x.filters for x in model.layers if isinstance(x, keras.layers.Conv2D)][12:]

    assert channels() == [32, 256, 256]
    assert channels(fc_width=0.125) == [32, 512, 512]
    assert channels(fc=False) == [32]


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"no file 'fcn16' in fcn/heads.*fcn16s"):
        build.find_module("heads", "fcn16")


@needs_bfloat16
@pytest.mark.usefixtures("half_precision")
def test_in_half_precision_weights_and_scores_are_single(
    loaded: reader.Loaded, tiny: Network, tmp_path: Path
) -> None:
    model = toy.network(tiny, 1, CLASSES, "fcn8s")
    model_file.save(model, tmp_path / "model.keras")
    backend.use(loaded.common)
    for network_of_half in (model, model_file.load(tmp_path / "model.keras")):
        assert network_of_half.get_layer("fc7").compute_dtype == "bfloat16"
        assert {weight.dtype for weight in network_of_half.weights} == {"float32"}
        scores = [
            layer
            for layer in network_of_half.layers
            if layer.name.startswith(("score", "upscore", "fuse"))
        ]
        assert {layer.compute_dtype for layer in scores} == {"float32"}
        assert logits(network_of_half, np.ones((1, 8, 8, 1))).dtype == np.float32
