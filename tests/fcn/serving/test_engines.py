import gc
from pathlib import Path

import keras
import numpy as np
import pytest
from tensorflow.python.framework import convert_to_constants

from fcn.network import model_file
from fcn.serving import engines
from fcn.settings.network import Network
from tests import toy
from tests.instruction_set import needs_bfloat16

pytestmark = pytest.mark.usefixtures("seeded")
SIZES = ((2, 40, 52, 3), (1, 33, 65, 3))
TOLERANCE = {"tensorflow-bfloat16": 0.03}
"""Of the largest logit; 8 binary digits are 0.004 of each of 15 layers."""


@pytest.fixture(scope="module", params=[1.0, 0.464])
def network(request: pytest.FixtureRequest, keras_ready: None, tiny: Network) -> keras.Model:
    return toy.network(tiny.model_copy(update={"resize": request.param}), 3, 5)


def keras_logits(network: keras.Model, images: np.ndarray) -> np.ndarray:
    """Run Keras layer by layer: it cannot trace resizing for a second size."""
    return np.asarray(network(images, training=False))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=needs_bfloat16 if name.endswith("bfloat16") else ())
        for name in engines.ENGINES
    ],
)
def test_an_engine_returns_keras_logits_at_every_size(
    name: str, network: keras.Model, rng: np.random.Generator
) -> None:
    engine = engines.of(name, network)
    assert (engine.channels, engine.classes) == (3, 5)
    for size in SIZES:
        images = rng.integers(256, size=size, dtype=np.uint8)
        expected = keras_logits(network, images)
        for pixels in (images, images.astype(np.float64)):
            logits = engine(pixels)
            assert logits.dtype == np.float32
            off = np.abs(logits - expected).max() / np.abs(expected).max()
            assert off < TOLERANCE.get(name, 1e-5)


def test_in_bfloat16_the_scores_stay_float32(network: keras.Model) -> None:
    policy = engines.bfloat16_policy(5)
    exact = {layer.name for layer in network.layers if policy(layer) == "float32"}
    assert exact == {
        *("score_fr", "score_pool4", "score_pool3", "fuse_pool4", "fuse_pool3"),
        *({"resize", "resize_logits"} & {layer.name for layer in network.layers}),
        *(f"{name}{end}" for name in ("upscore2", "upscore_pool4", "upscore8")
          for end in ("", "_crop")),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["LARGE_BATCH", "HEAVY_WEIGHTS"])
def test_large_batches_and_heavy_networks_leave_the_weights_variables(
    name: str, network: keras.Model, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, name, 0)
    monkeypatch.setattr(convert_to_constants, "convert_variables_to_constants_v2", None)
    images = rng.integers(256, size=SIZES[0], dtype=np.uint8)
    expected = keras_logits(network, images)
    logits = engines.of("tensorflow", network)(images)
    np.testing.assert_allclose(logits, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("large", [0, engines.LARGE_BATCH])
def test_an_engine_outlives_the_network_it_was_made_from(
    large: int,
    tiny: Network,
    tmp_path: Path,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engines, "LARGE_BATCH", large)
    made = toy.network(tiny, 1, 3, "fcn16s")
    model_file.save(made, tmp_path / "model.keras")
    images = rng.integers(256, size=(1, 32, 32, 1), dtype=np.uint8)
    expected = made.predict_on_batch(images)
    engine = engines.load(engines.FASTEST[keras.backend.backend()], tmp_path / "model.keras")
    del made
    gc.collect()
    np.testing.assert_allclose(engine(images), expected, atol=1e-4 * np.abs(expected).max())


def test_an_unknown_engine_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValueError, match="no engine 'tensorflw'; did you mean 'tensorflow'"):
        engines.load("tensorflw", Path("model.keras"))


def test_engines_of_tensorflow_refuse_another_backend(
    network: keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="engine 'onnx' needs the backend tensorflow"):
        engines.of("onnx", network)
