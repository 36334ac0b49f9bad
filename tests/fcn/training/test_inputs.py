from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import grain
import numpy as np
import pytest

from fcn.records.index import IndexRow
from fcn.records.sample import IGNORE_INDEX
from fcn.records.split import Records
from fcn.settings.training import Training
from fcn.training import augmentation, inputs
from tests.index_rows import index_row

HEIGHT, WIDTH = 6, 8


def source(count: int) -> inputs.MemorySource:
    """Samples whose label and first channel hold each pixel's original position."""
    label = np.arange(1, 1 + HEIGHT * WIDTH, dtype=np.uint8).reshape(HEIGHT, WIDTH)
    return inputs.MemorySource(
        [
            {"image": np.stack([label, np.full_like(label, 1 + number)], -1), "label": label}
            for number in range(count)
        ]
    )


def settings(**changed: Any) -> Training:
    values = {"epochs": 3, "batch": 4, "translate": 2} | changed
    return Training(learning_rate=1e-3, warmup=0.0, **values)


def read(batches: grain.MapDataset) -> list[tuple[np.ndarray, np.ndarray]]:
    return [batches[step] for step in range(len(batches))]


def order(batches: grain.MapDataset) -> list[int]:
    """The samples' numbers, in the order of the batches."""
    return [int(image.max()) - 1 for images, _ in read(batches) for image in images[..., 1]]


def equal(first: list[tuple[np.ndarray, ...]], second: list[tuple[np.ndarray, ...]]) -> bool:
    return len(first) == len(second) and all(
        np.array_equal(*arrays)
        for batches in zip(first, second, strict=True)
        for arrays in zip(*batches, strict=True)
    )


def test_image_and_label_are_translated_together_and_filled_with_black_and_ignore() -> None:
    translated = 0
    for images, labels in read(inputs.batches(source(8), settings(), 1)):
        assert images.shape == (4, HEIGHT, WIDTH, 2)
        assert images.dtype == labels.dtype == np.uint8
        np.testing.assert_array_equal(np.where(labels == IGNORE_INDEX, 0, labels), images[..., 0])
        assert ((images[..., 1] == 0) == (labels == IGNORE_INDEX)).all()
        translated += (labels[:, 2, 3] != source(1)[0]["label"][2, 3]).sum()
    assert translated > 12


def test_translations_cover_all_offsets_up_to_the_setting() -> None:
    augment = augmentation.Augment(settings(translate=2))
    rng = np.random.default_rng(0)
    label = source(1)[0]["label"]
    offsets = {
        tuple(np.argwhere(augment.random_map(source(1)[0], rng)["label"] == label[3, 3])[0] - 3)
        for _ in range(300)
    }
    assert offsets == {(down, right) for down in range(-2, 3) for right in range(-2, 3)}


def test_without_augmentation_samples_are_unchanged() -> None:
    for images, labels in read(inputs.batches(source(8), settings(translate=0), 1)):
        assert (labels == source(1)[0]["label"]).all()
        assert (images[..., 0] == labels).all()


def test_a_scalar_label_is_not_translated() -> None:
    objects = inputs.MemorySource(
        [{"image": e["image"], "label": np.array(n)} for n, e in enumerate(source(8).samples)]
    )
    for images, labels in read(inputs.batches(objects, settings(), 1)):
        np.testing.assert_array_equal(images[..., 1].max(axis=(1, 2)) - 1, labels)


def test_each_epoch_has_every_sample_once_in_another_order() -> None:
    epochs_order = np.array(order(inputs.batches(source(8), settings(), 1))).reshape(3, 8)
    assert (np.sort(epochs_order) == np.arange(8)).all()
    assert len({tuple(epoch) for epoch in epochs_order}) == 3


def test_each_epoch_translates_a_sample_differently() -> None:
    batches = inputs.batches(source(8), settings(epochs=8), 1)
    translated: dict[int, set[bytes]] = {}
    for images, labels in read(batches):
        for image, label in zip(images, labels, strict=True):
            translated.setdefault(int(image[..., 1].max()), set()).add(label.tobytes())
    assert len(translated) == 8
    assert min(len(labels) for labels in translated.values()) > 3


def test_the_seed_determines_the_batches() -> None:
    first, again, other = (read(inputs.batches(source(8), settings(), seed)) for seed in (1, 1, 2))
    assert equal(first, again)
    assert not equal(first, other)


def test_a_slice_of_batches_equals_the_same_slice_of_all() -> None:
    batches = inputs.batches(source(9), settings(), 1)
    whole = read(batches)
    for start, stop in ((0, 2), (1, 5), (4, len(whole))):
        assert equal(read(batches[start:stop]), whole[start:stop])


def test_the_stream_gives_the_same_batches_from_any_step() -> None:
    batches = inputs.batches(source(8), settings(), 1)
    assert equal(list(inputs.stream(batches)), read(batches))
    assert equal(list(inputs.stream(batches[2:])), read(batches)[2:])


@pytest.mark.parametrize(("examples", "epochs"), [(8, 3), (9, 1), (10, 3), (11, 4), (4, 5)])
def test_every_epoch_has_the_same_number_of_whole_batches(examples: int, epochs: int) -> None:
    batches = inputs.batches(source(examples), settings(epochs=epochs), 1)
    assert len(batches) == epochs * (examples // 4)
    assert all(len(labels) == 4 for _, labels in read(batches))


def test_samples_left_over_come_first_in_the_next_epoch() -> None:
    epochs_order = order(inputs.batches(source(10), settings(epochs=4), 1))
    for first, last in pairwise(range(0, len(epochs_order) + 1, 10)):
        assert sorted(epochs_order[first:last]) == list(range(10))


def test_a_batch_as_large_as_the_split_is_accepted() -> None:
    assert len(inputs.batches(source(4), settings(), 1)) == 3


def test_a_batch_larger_than_the_split_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^training\.batch: got 4, allowed: 1\.\.3"):
        inputs.batches(source(3), settings(), 1)


def test_with_augmentation_a_slice_of_batches_equals_the_same_slice_of_all() -> None:
    augmented = {"flip": True, "scale": (0.7, 1.4), "crop": (5, 5)}
    batches = inputs.batches(source(9), settings(**augmented), 1)
    whole = read(batches)
    assert whole[0][0].shape == (4, 5, 5, 2)
    assert equal(read(batches[3:]), whole[3:])
    assert not equal(read(inputs.batches(source(9), settings(**augmented), 2)), whole)


@pytest.mark.parametrize(("examples", "accumulate", "steps"), [(8, 2, 2), (12, 2, 2), (27, 3, 6)])
def test_an_epoch_ends_with_a_weight_update(examples: int, accumulate: int, steps: int) -> None:
    batches = inputs.batches(source(examples), settings(accumulate=accumulate), 1)
    assert len(batches) == 3 * steps


def test_accumulating_more_batches_than_the_split_has_is_refused() -> None:
    message = r"^training\.accumulate: got 3, allowed: 1\.\.2, the split's batches of 4"
    with pytest.raises(ValueError, match=message):
        inputs.batches(source(9), settings(accumulate=3), 1)


@dataclass
class Sized:
    """The part of `Records` that holds the sizes of images."""

    sizes: list[tuple[int, int]]
    folder: Path = Path("records")

    @property
    def rows(self) -> list[IndexRow]:
        return [index_row("train", "a", height=h, width=w) for h, w in self.sizes]


def test_images_of_several_sizes_are_refused_with_a_batch_above_1() -> None:
    split = Sized([(3, 4)] * 5 + [(4, 3)] * 3 + [(5, 5), (6, 6)])
    with pytest.raises(ValueError, match=r"^training\.crop: not set") as caught:
        inputs.require_equal_sizes(split, settings())
    message = str(caught.value)
    assert (
        "the images of records have 4 sizes (height x width), 3x4 (5), 4x3 (3), 5x5 (1), …"
        in message
    )
    assert "set `crop: [height, width]`, or `batch: 1, accumulate: 4`" in message
    for accepted in (settings(batch=1), settings(crop=(3, 3))):
        inputs.require_equal_sizes(split, accepted)
    inputs.require_equal_sizes(Sized([(3, 4)] * 5), settings())


@pytest.mark.parametrize("translate", [0, 2])
def test_sample_numbers_are_those_of_the_batches(translate: int) -> None:
    training = settings(translate=translate)
    numbers = inputs.sample_numbers(9, training, 1)
    epochs_order = order(inputs.batches(source(9), training, 1))
    assert [
        int(number) for step in range(len(epochs_order) // 4) for number in numbers[step]
    ] == epochs_order


def test_a_split_too_large_for_the_cache_gives_the_same_batches(
    small_records: Path,
) -> None:
    split = Records(small_records, "train")
    cached, uncached = inputs.cache(split), inputs.cache(split, max_bytes=1)
    assert isinstance(cached, list)
    assert uncached is split
    both = [
        inputs.batches(inputs.RecordSource(source), settings(), seed=3)
        for source in (cached, uncached)
    ]
    for (image, label), (image_again, label_again) in zip(*both, strict=True):
        assert np.array_equal(image, image_again)
        assert np.array_equal(label, label_again)
