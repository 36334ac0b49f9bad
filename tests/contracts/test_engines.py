"""What the engines promise of every head; a new file in fcn/heads/ needs no new test."""

from collections.abc import Callable

import keras
import numpy as np

from fcn.serving import engines
from tests.instruction_set import needs_bfloat16


@needs_bfloat16
def test_in_half_precision_and_as_a_graph_a_head_says_nearly_the_same(
    head: str,
    built: Callable[..., keras.Model],
    answer: Callable[[keras.Model, np.ndarray], np.ndarray],
    rng: np.random.Generator,
) -> None:
    images = rng.integers(256, size=(1, 45, 70, 3))
    expected = answer(built(head), images)
    logits = engines.of("tensorflow-bfloat16", built(head))(images)
    assert logits.dtype == np.float32
    assert np.abs(logits - expected).max() < 0.05 * np.abs(expected).max()
