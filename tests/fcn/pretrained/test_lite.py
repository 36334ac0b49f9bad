"""EfficientNet-Lite0 from its package's layout computes what the network in the file computes."""

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from fcn.network import build
from fcn.pretrained import lite_file, load
from fcn.settings.network import Network
from tests import lite_files, torch_files

pytestmark = pytest.mark.usefixtures("seeded")
SETTINGS = {"mean": (127.0, 127.0, 127.0), "std": 128.0, "width": lite_files.WIDTH}


@pytest.fixture(scope="module")
def tensors() -> lite_files.Tensors:
    return lite_files.random(np.random.default_rng(3))


def backbone(tiny: Network, batch_norm: str, channels: int = 3) -> keras.Model:
    settings = tiny.model_copy(update={**SETTINGS, "batch_norm": batch_norm})
    return build.backbone("efficientnet_lite0", settings, channels)


@pytest.mark.parametrize("batch_norm", ["folded", "trained"])
def test_the_backbone_computes_what_the_network_in_the_file_computes(
    batch_norm: str, tensors: lite_files.Tensors, tiny: Network, tmp_path: Path
) -> None:
    path = torch_files.save_stream(tensors, tmp_path / "lite.pth")
    network = backbone(tiny, batch_norm)
    origins = load.assign_weights(network, lite_file.read(path), (), "a file")
    assert origins["taken"] == [layer.name for layer in network.layers if layer.weights]
    assert origins["in the file only"] == ["fc"]
    images = np.random.default_rng(4).integers(256, size=(1, 64, 96, 3))
    expected = lite_files.head(tensors, (images - 127) / 128)
    np.testing.assert_allclose(ops.convert_to_numpy(network(images)), expected, atol=1e-3)
    assert expected.std() > 0.1


def test_a_file_without_a_batch_normalisation_is_refused_by_its_name(
    tensors: lite_files.Tensors, tmp_path: Path
) -> None:
    path = tmp_path / "lite.pth"
    del (damaged := dict(tensors))["_blocks.3._bn1.running_var"]
    torch_files.save_stream(damaged, path)
    with pytest.raises(
        ValueError, match=r"lite\.pth: _blocks\.3\._depthwise_conv has no batch normalisation"
    ):
        lite_file.read(path)


@pytest.mark.parametrize("batch_norm", ["folded", "trained"])
def test_weights_of_colour_images_are_refused_for_grey_ones(
    batch_norm: str, tensors: lite_files.Tensors, tiny: Network, tmp_path: Path
) -> None:
    path = torch_files.save_stream(tensors, tmp_path / "lite.pth")
    settings = tiny.model_copy(update={"batch_norm": batch_norm})
    network = build.backbone("efficientnet_lite0", settings, 1)
    with pytest.raises(ValueError, match=r"stem: \(3, 3, 3, 2\).* in the file, \(3, 3, 1, 2\)"):
        load.assign_weights(network, lite_file.read(path), (), "a file")
