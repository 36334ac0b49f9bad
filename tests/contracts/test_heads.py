"""The contract of every head; a new file in fcn/heads/ needs no new test."""

import inspect
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from fcn.network import alignment, build, model_file
from fcn.settings.network import Network

SIZES = [(1, 1), (7, 5), (33, 31), (64, 84), (1030, 77)]
Build = Callable[..., keras.Model]
Answer = Callable[[keras.Model, np.ndarray], np.ndarray]


def fits(head: str, padding: str) -> bool:
    return padding == "same" or head not in ("m2nist", "m2nist_wide", "unet")


@pytest.mark.parametrize(
    "changed", [{}, {"padding": "pad100"}, {"resize": 0.3}, {"resize": 2.0}], ids=str
)
def test_any_size_gives_scores_of_its_own_size(
    head: str, changed: dict, built: Build, answer: Answer, rng: np.random.Generator
) -> None:
    if not fits(head, changed.get("padding", "same")):
        with pytest.raises(ValueError, match=r"padding: got pad100, allowed with the .*: same"):
            built(head, **changed)
        return
    model = built(head, **changed)
    for height, width in SIZES if not changed else SIZES[::3]:
        got = answer(model, rng.integers(256, size=(1, height, width, 3)))
        assert got.shape == (1, height, width, 4)
        assert got.dtype == np.float32
        assert np.isfinite(got).all()
        assert got.any()


def test_the_shape_of_the_scores_is_computed_without_images(head: str, built: Build) -> None:
    assert built(head).output_shape == (None, None, None, 4)
    images = keras.KerasTensor((2, 37, 50, 3))
    assert built(head).compute_output_spec(images).shape == (2, 37, 50, 4)


def test_scores_move_with_an_image_that_moves_by_the_coarsest_stride(
    head: str, built: Build, answer: Answer, rng: np.random.Generator
) -> None:
    step, side, margin = 32, 384, 160
    scene = rng.integers(256, size=(1, side + step, side + step, 3))
    both = np.concatenate([scene[:, step:, step:], scene[:, :-step, :-step]])
    first, second = answer(built(head), both)
    before = first[margin - step : -margin - step, margin - step : -margin - step]
    after = second[margin:-margin, margin:-margin]
    assert np.ptp(before) > 1e-3
    np.testing.assert_allclose(after, before, atol=1e-4 * np.abs(before).max())


def test_a_head_names_the_stride_of_its_finest_scores(
    head: str, tiny: Network, built: Build
) -> None:
    layers = [layer for layer in built(head).layers if layer.name.startswith("score")]
    finest = min(alignment.alignment_of(layer.output).stride for layer in layers)
    assert build.stride(head, tiny) == finest
    assert build.stride(head, tiny.model_copy(update={"resize": 0.5})) == 2 * finest
    assert build.stride(head, tiny.model_copy(update={"resize": 2.0})) == max(1, finest // 2)


def test_a_saved_head_gives_the_same_scores(
    head: str, built: Build, answer: Answer, tmp_path: Path, rng: np.random.Generator
) -> None:
    model = built(head)
    model_file.save(model, tmp_path / "model.keras")
    images = rng.integers(256, size=(1, 33, 20, 3))
    again = answer(model_file.load(tmp_path / "model.keras"), images)
    np.testing.assert_array_equal(again, answer(model, images))


def answers(folder: Path) -> None:
    """Save the logits of every model in the folder for one batch; runs on either backend."""
    import keras
    import numpy as np

    from fcn.network import model_file

    images = np.random.default_rng(3).integers(256, size=(2, 40, 37, 3))
    for path in sorted(folder.glob("*.keras")):
        logits = keras.ops.convert_to_numpy(model_file.load(path)(images))
        np.save(path.with_suffix(f".{keras.backend.backend()}.npy"), logits)


ON_JAX = f"""
import sys
from pathlib import Path

sys.modules |= dict.fromkeys(["matplotlib", "sklearn"])  # Keras would import them.
import keras

# Weights come from the files; drawing them first would compile a program for every shape.
for kind in (keras.initializers.VarianceScaling, keras.initializers.TruncatedNormal):
    kind.__call__ = keras.initializers.Zeros.__call__

{inspect.getsource(answers)}

answers(Path(sys.argv[1]))
"""


def test_tensorflow_and_jax_agree_on_every_head(
    heads: list[str], built: Build, tmp_path: Path
) -> None:
    kinds = [(head, {}) for head in heads]
    kinds += [("fcn8s", {"padding": "pad100"}), ("fcn8s", {"resize": 0.3})]
    kinds += [("fcn8s", {"backbone": "efficientnet_lite0"})]
    for number, (head, changed) in enumerate(kinds):
        model_file.save(built(head, **changed), tmp_path / f"{number}-{head}.keras")
    subprocess.run(
        [sys.executable, "-c", ON_JAX, tmp_path],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        check=True,
    )
    answers(tmp_path)
    for number, (head, _) in enumerate(kinds):
        tensorflow, jax = (
            np.load(tmp_path / f"{number}-{head}.{name}.npy") for name in ("tensorflow", "jax")
        )
        scale = np.abs(tensorflow).max()
        assert scale > 0.01
        np.testing.assert_allclose(jax, tensorflow, atol=1e-4 * scale, err_msg=head)
