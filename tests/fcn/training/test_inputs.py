from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import grain
import numpy as np
import pytest

from fcn.datasets.shared.dataset import IGNORE_INDEX
from fcn.records.record import Records
from fcn.settings.training import Training
from fcn.training import augmentation, inputs

HEIGHT, WIDTH = 6, 8


def source(count: int) -> inputs.InMemory:
    """Examples whose label says where each pixel stood, and whose image says it too."""
    label = np.arange(1, 1 + HEIGHT * WIDTH, dtype=np.uint8).reshape(HEIGHT, WIDTH)
    return inputs.InMemory(
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
    """The examples' numbers, in the order in which they are seen."""
    return [int(image.max()) - 1 for images, _ in read(batches) for image in images[..., 1]]


def equal(some: list[tuple[np.ndarray, ...]], other: list[tuple[np.ndarray, ...]]) -> bool:
    return len(some) == len(other) and all(
        np.array_equal(one, two)
        for pair, twin in zip(some, other, strict=True)
        for one, two in zip(pair, twin, strict=True)
    )


def test_image_and_label_move_together_black_and_ignored_where_nothing_was() -> None:
    moved = 0
    for images, labels in read(inputs.batches(source(8), settings(), 1)):
        assert images.shape == (4, HEIGHT, WIDTH, 2)
        assert images.dtype == labels.dtype == np.uint8
        np.testing.assert_array_equal(np.where(labels == IGNORE_INDEX, 0, labels), images[..., 0])
        assert ((images[..., 1] == 0) == (labels == IGNORE_INDEX)).all()
        moved += (labels[:, 2, 3] != source(1)[0]["label"][2, 3]).sum()
    assert moved > 12


def test_shifts_reach_the_largest_in_all_directions_and_go_no_further() -> None:
    drawn = augmentation.Augment(settings(translate=2))
    rng = np.random.default_rng(0)
    label = source(1)[0]["label"]
    there = {
        tuple(np.argwhere(drawn.random_map(source(1)[0], rng)["label"] == label[3, 3])[0] - 3)
        for _ in range(300)
    }
    assert there == {(down, right) for down in range(-2, 3) for right in range(-2, 3)}


def test_without_a_shift_examples_come_as_they_are() -> None:
    for images, labels in read(inputs.batches(source(8), settings(translate=0), 1)):
        assert (labels == source(1)[0]["label"]).all()
        assert (images[..., 0] == labels).all()


def test_the_label_of_a_whole_image_is_not_shifted() -> None:
    objects = inputs.InMemory(
        [{"image": e["image"], "label": np.array(n)} for n, e in enumerate(source(8).examples)]
    )
    for images, labels in read(inputs.batches(objects, settings(), 1)):
        np.testing.assert_array_equal(images[..., 1].max(axis=(1, 2)) - 1, labels)


def test_each_epoch_shows_every_example_once_in_another_order() -> None:
    seen = np.array(order(inputs.batches(source(8), settings(), 1))).reshape(3, 8)
    assert (np.sort(seen) == np.arange(8)).all()
    assert len({tuple(epoch) for epoch in seen}) == 3


def test_each_epoch_shifts_an_example_otherwise() -> None:
    batches = inputs.batches(source(8), settings(epochs=8), 1)
    moved: dict[int, set[bytes]] = {}
    for images, labels in read(batches):
        for image, label in zip(images, labels, strict=True):
            moved.setdefault(int(image[..., 1].max()), set()).add(label.tobytes())
    assert len(moved) == 8
    assert min(len(labels) for labels in moved.values()) > 3


def test_the_same_seed_gives_the_same_batches_and_another_seed_others() -> None:
    first, again, other = (read(inputs.batches(source(8), settings(), seed)) for seed in (1, 1, 2))
    assert equal(first, again)
    assert not equal(first, other)


def test_any_part_is_the_same_part_of_the_whole() -> None:
    batches = inputs.batches(source(9), settings(), 1)
    whole = read(batches)
    for start, stop in ((0, 2), (1, 5), (4, len(whole))):
        assert equal(read(batches[start:stop]), whole[start:stop])


def test_the_stream_gives_the_same_batches_from_any_step_on() -> None:
    batches = inputs.batches(source(8), settings(), 1)
    assert equal(list(inputs.stream(batches)), read(batches))
    assert equal(list(inputs.stream(batches[2:])), read(batches)[2:])


@pytest.mark.parametrize(("examples", "epochs"), [(8, 3), (9, 1), (10, 3), (11, 4), (4, 5)])
def test_every_epoch_has_the_same_number_of_whole_batches(examples: int, epochs: int) -> None:
    batches = inputs.batches(source(examples), settings(epochs=epochs), 1)
    assert len(batches) == epochs * (examples // 4)
    assert all(len(labels) == 4 for _, labels in read(batches))


def test_what_one_epoch_leaves_over_the_next_begins_with() -> None:
    seen = order(inputs.batches(source(10), settings(epochs=4), 1))
    for first, last in pairwise(range(0, len(seen) + 1, 10)):
        assert sorted(seen[first:last]) == list(range(10))


def test_a_batch_as_large_as_the_split_is_taken() -> None:
    assert len(inputs.batches(source(4), settings(), 1)) == 3


def test_a_batch_larger_than_the_split_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^training\.batch: got 4, allowed: 1\.\.3"):
        inputs.batches(source(3), settings(), 1)


def test_with_everything_altered_any_part_is_still_the_same_part_of_the_whole() -> None:
    altered = {"flip": True, "scale": (0.7, 1.4), "crop": (5, 5)}
    batches = inputs.batches(source(9), settings(**altered), 1)
    whole = read(batches)
    assert whole[0][0].shape == (4, 5, 5, 2)
    assert equal(read(batches[3:]), whole[3:])
    assert not equal(read(inputs.batches(source(9), settings(**altered), 2)), whole)


@pytest.mark.parametrize(("examples", "accumulate", "steps"), [(8, 2, 2), (12, 2, 2), (27, 3, 6)])
def test_an_epoch_ends_with_a_move_of_the_weights(
    examples: int, accumulate: int, steps: int
) -> None:
    batches = inputs.batches(source(examples), settings(accumulate=accumulate), 1)
    assert len(batches) == 3 * steps


def test_more_batches_to_a_move_than_the_split_has_are_refused() -> None:
    message = r"^training\.accumulate: got 3, allowed: 1\.\.2, the split's batches of 4"
    with pytest.raises(ValueError, match=message):
        inputs.batches(source(9), settings(accumulate=3), 1)


@dataclass
class Sized:
    """What is asked of `Records` for the sizes of its images."""

    sizes: list[tuple[int, int]]
    folder: Path = Path("records")

    @property
    def rows(self) -> list[dict[str, int]]:
        return [{"height": height, "width": width} for height, width in self.sizes]


def test_images_of_several_sizes_are_refused_where_a_batch_has_several() -> None:
    split = Sized([(3, 4)] * 5 + [(4, 3)] * 3 + [(5, 5), (6, 6)])
    with pytest.raises(ValueError, match=r"^training\.crop: not set") as caught:
        inputs.require_equal_sizes(split, settings())
    said = str(caught.value)
    assert "the images of records have 4 sizes, 3x4 (5), 4x3 (3), 5x5 (1), …" in said
    assert "set `crop: [height, width]`, or `batch: 1, accumulate: 4`" in said
    for fits in (settings(batch=1), settings(crop=(3, 3))):
        inputs.require_equal_sizes(split, fits)
    inputs.require_equal_sizes(Sized([(3, 4)] * 5), settings())


@pytest.mark.parametrize("translate", [0, 2])
def test_the_numbers_of_a_step_are_those_of_its_examples(translate: int) -> None:
    wanted = settings(translate=translate)
    numbers = inputs.numbers(9, wanted, 1)
    seen = order(inputs.batches(source(9), wanted, 1))
    assert [int(number) for step in range(len(seen) // 4) for number in numbers[step]] == seen


def test_a_split_that_is_too_large_is_read_again_and_gives_the_same_batches(
    small_records: Path,
) -> None:
    split = Records(small_records, "train")
    once, again = inputs.kept(split), inputs.kept(split, most=1)
    assert isinstance(once, list)
    assert again is split
    both = [
        inputs.batches(inputs.FromRecords(source), settings(), seed=3) for source in (once, again)
    ]
    for (image, label), (image_again, label_again) in zip(*both, strict=True):
        assert np.array_equal(image, image_again)
        assert np.array_equal(label, label_again)
