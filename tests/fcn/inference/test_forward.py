from collections.abc import Iterator

import keras
import numpy as np
import pytest

from fcn.inference import forward
from fcn.records.record import DecodedSample
from fcn.records.sample import IGNORE_INDEX
from fcn.scores.metrics import confusion_matrix

pytestmark = pytest.mark.usefixtures("seeded")
CLASSES = 5
SIZES = [(4, 6), (4, 6), (4, 6), (3, 9), (3, 9), (4, 6), (1, 1), (4, 6), (4, 6)]


@pytest.fixture(scope="module")
def reader(keras_ready: None) -> keras.Model:
    """A network that reads the class of a pixel from its value."""
    # 2 k v - k² is largest for the whole number k next to v.
    pixel = keras.layers.Conv2D(CLASSES, 1)
    model = keras.Sequential([keras.Input((None, None, 1)), pixel])
    k = np.arange(CLASSES, dtype=np.float32)
    pixel.set_weights([(2 * k).reshape(1, 1, 1, -1), -(k**2)])
    return model


@pytest.fixture
def examples(rng: np.random.Generator) -> list[DecodedSample]:
    made = []
    for number, size in enumerate(SIZES):
        image = rng.integers(CLASSES, size=(*size, 1)).astype(np.uint8)
        label = rng.integers(CLASSES, size=size).astype(np.uint8)
        label[rng.random(size) < 0.2] = IGNORE_INDEX
        made.append(DecodedSample(f"example-{number}", image, label))
    return made


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
def test_masks_come_in_order_and_at_each_images_own_size(
    reader: keras.Model, examples: list[DecodedSample], batch: int
) -> None:
    results = list(forward.predict(reader, examples, batch))
    assert [example.id for example, _ in results] == [example.id for example in examples]
    for example, mask in results:
        assert mask.dtype == np.uint8
        np.testing.assert_array_equal(mask, example.image[..., 0])


def test_each_example_is_counted_for_itself(
    reader: keras.Model, examples: list[DecodedSample]
) -> None:
    matrices = forward.confusion_matrices(reader, examples, 2, CLASSES)
    assert matrices.shape == (len(examples), CLASSES, CLASSES)
    assert matrices.dtype == np.int64
    for example, matrix in zip(examples, matrices, strict=True):
        expected = confusion_matrix(example.label, example.image[..., 0], CLASSES)
        np.testing.assert_array_equal(matrix, expected)
    valid = sum((example.label != IGNORE_INDEX).sum() for example in examples)
    assert matrices.sum() == valid


@pytest.mark.parametrize("batch", [1, 4])
def test_a_prediction_is_the_mask_and_its_softmax(
    reader: keras.Model, examples: list[DecodedSample], batch: int
) -> None:
    plain = forward.predict(reader, examples, batch)
    sure = forward.predict_with_confidence(reader, examples, batch, 0.1)
    for (example, mask), (same, said) in zip(plain, sure, strict=True):
        assert same.id == example.id
        np.testing.assert_array_equal(said.mask, mask)
        scores = keras.ops.convert_to_numpy(reader(example.image[None].astype(np.float32)))[0]
        softmax = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
        np.testing.assert_allclose(said.confidence, softmax.max(axis=-1), rtol=1e-5)
        np.testing.assert_array_equal(said.thresholded, softmax[..., 1:] > 0.1)
        assert (said.mask.dtype, said.confidence.dtype) == (np.uint8, np.float32)


def test_of_equal_scores_the_first_class_is_taken(examples: list[DecodedSample]) -> None:
    pixel = keras.layers.Conv2D(CLASSES, 1, kernel_initializer="zeros")
    model = keras.Sequential([keras.Input((None, None, 1)), pixel])
    pixel.set_weights([np.zeros((1, 1, 1, CLASSES)), np.array([0, 2, 1, 2, 2])])
    for _, said in forward.predict_with_confidence(model, examples, 4, 0.1):
        assert (said.mask == 1).all()


def test_examples_are_read_as_they_are_needed(
    reader: keras.Model, examples: list[DecodedSample]
) -> None:
    """Not a whole split in memory: a batch at work, the next one read, one example beyond it."""
    read = []

    def reading() -> Iterator[DecodedSample]:
        for example in examples[:3] * 10:
            read.append(example.id)
            yield example

    predictions = forward.predict(reader, reading(), 2)
    for number, _ in enumerate(predictions):
        assert len(read) <= number + 2 * 2 + 2


def test_an_example_that_cannot_be_read_stops_it(
    reader: keras.Model, examples: list[DecodedSample]
) -> None:
    def reading() -> Iterator[DecodedSample]:
        yield from examples[:2]
        raise ValueError("record 3 is damaged")

    with pytest.raises(ValueError, match="record 3 is damaged"):
        list(forward.predict(reader, reading(), 2))
