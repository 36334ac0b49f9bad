from pathlib import Path

import keras
import numpy as np
import pytest

from fcn.serving import formats
from fcn.settings.table import Network
from tests import toy
from tests.instruction_set import needs_bfloat16

pytestmark = pytest.mark.usefixtures("seeded")
SIZES = ((2, 40, 52, 3), (1, 33, 65, 3), (3, 40, 52, 3))


@pytest.fixture(scope="module", params=[1.0, 2.0])
def network(request: pytest.FixtureRequest, keras_ready: None, tiny: Network) -> keras.Model:
    return toy.network(tiny.model_copy(update={"resize": request.param}), 3, 5)


@pytest.mark.parametrize("name", formats.FORMATS)
def test_a_written_network_returns_the_same_at_every_size(
    name: str, network: keras.Model, tmp_path: Path, rng: np.random.Generator
) -> None:
    chosen = formats.FORMATS[name]
    chosen.write(formats.in_float32(network), tmp_path / chosen.file)
    opened = chosen.open(tmp_path / chosen.file)
    for size in SIZES:
        images = rng.integers(256, size=size, dtype=np.uint8)
        expected = np.asarray(network(images, training=False))
        logits = opened(images)
        assert logits.dtype == np.float32
        np.testing.assert_allclose(logits, expected, atol=1e-5 * np.abs(expected).max())


@needs_bfloat16
def test_a_network_trained_in_bfloat16_is_written_in_float32(
    half_precision: None, tiny: Network, rng: np.random.Generator
) -> None:
    half = toy.network(tiny, 3, 5)
    whole = formats.in_float32(half)
    assert {layer.compute_dtype for layer in whole.layers[1:]} == {"float32"}
    for ours, theirs in zip(whole.get_weights(), half.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    images = rng.integers(256, size=(1, 40, 52, 3), dtype=np.uint8)
    expected = half.predict_on_batch(images)
    difference = np.abs(whole.predict_on_batch(images) - expected)
    assert 0 < difference.max() < 0.05 * np.abs(expected).max()
