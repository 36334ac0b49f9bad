from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fcn.datasets.shared import canvases

SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}
SOLID = canvases.DigitImages(
    np.full((10, canvases.SIDE, canvases.SIDE), 255, np.uint8), np.arange(10), np.arange(10)
)


def drawn(count: int, seeds: list[int], ink: int = 64) -> Iterator[tuple[np.ndarray, ...]]:
    """Image, mask and digits of each canvas of solid squares."""
    for canvas in canvases.layouts(len(SOLID.values), count, seeds):
        yield (*canvases.draw_canvas(SOLID, canvas, ink), canvas.digits)


def source(counts: list[int]) -> canvases.DigitImages:
    """So many digits of each value, mixed; numbers start at 100."""
    values = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    images = np.zeros((len(values), canvases.SIDE, canvases.SIDE), np.uint8)
    return canvases.DigitImages(images, values, 100 + np.arange(len(values)))


@hypothesis_settings(deadline=None)
@given(counts=st.lists(st.integers(1, 40), min_size=1, max_size=10), seed=st.integers(0, 99))
def test_pools_hold_every_digit_once_and_every_value_in_the_same_shares(
    counts: list[int], seed: int
) -> None:
    digits = source(counts)
    pools = canvases.split_pools(digits, SHARES, seed)
    numbers = np.concatenate([pool.numbers for pool in pools.values()])
    assert sorted(numbers) == sorted(digits.numbers)
    for split, pool in pools.items():
        assert (pool.values == digits.values[pool.numbers - 100]).all()
        for value, count in enumerate(counts):
            assert abs((pool.values == value).sum() - SHARES[split] * count) <= 1


def test_pools_depend_on_the_seed() -> None:
    digits = source([50] * 10)
    first, same, other = (canvases.split_pools(digits, SHARES, seed)["val"] for seed in (1, 1, 2))
    assert (first.numbers == same.numbers).all()
    assert set(first.numbers) != set(other.numbers)


def test_shares_that_do_not_sum_to_one_are_refused() -> None:
    with pytest.raises(AssertionError, match="sum to 1"):
        canvases.split_pools(source([5]), {"train": 0.7, "test": 0.2}, 1)


@hypothesis_settings(deadline=None, max_examples=20)
@given(seed=st.lists(st.integers(0, 2**32), min_size=1, max_size=2))
def test_boxes_do_not_overlap_and_lie_on_the_canvas(seed: list[int]) -> None:
    for image, mask, chosen in drawn(30, seed):
        assert image.shape == mask.shape == (canvases.HEIGHT, canvases.WIDTH)
        found = np.bincount(mask.ravel(), minlength=11)[1:]
        assert set(np.flatnonzero(found)) == set(SOLID.values[chosen])
        assert set(found[found > 0]) == {canvases.SIDE**2}


@hypothesis_settings(deadline=None, max_examples=20)
@given(count=st.integers(0, 40), seed=st.integers(0, 99))
def test_one_two_and_three_digits_come_equally_often(count: int, seed: int) -> None:
    counts = [len(set(chosen)) for *_, chosen in drawn(count, [seed])]
    assert len(counts) == count
    assert sorted(counts) == sorted(1 + number % 3 for number in range(count))


def test_the_fuller_canvases_do_not_come_in_turn() -> None:
    assert [len(chosen) for *_, chosen in drawn(60, [1])] != [
        1 + number % 3 for number in range(60)
    ]


def test_digits_are_drawn_all_over_the_canvas() -> None:
    covered = np.zeros((canvases.HEIGHT, canvases.WIDTH), int)
    for _, mask, _ in drawn(300, [1]):
        covered += mask > 0
    assert covered[0].any()
    assert covered[-1].any()
    assert covered[:, 0].any()
    assert covered[:, -1].any()


@pytest.mark.parametrize(("grey", "belongs"), [(64, False), (65, True)])
def test_a_pixel_belongs_to_its_digit_above_the_ink(grey: int, belongs: bool) -> None:
    pool = canvases.DigitImages(SOLID.images // 255 * np.uint8(grey), SOLID.values, SOLID.numbers)
    for canvas in canvases.layouts(len(pool.values), 6, [1]):
        image, mask = canvases.draw_canvas(pool, canvas, 64)
        assert set(np.unique(image)) == {0, grey}
        assert ((mask > 0) == (belongs & (image == grey))).all()


def test_samples_are_drawn_on_access_and_equal_in_any_order() -> None:
    samples = canvases.samples(
        SOLID, 64, "val", 9, canvases.split_seeds(("train", "val"), "val", 5)
    )
    backwards = [samples[number] for number in reversed(range(9))][::-1]
    for number, (one, other) in enumerate(zip(samples[:], backwards, strict=True)):
        assert one.id == other.id == f"val-{number:05d}"
        assert np.array_equal(one.image, other.image)
        assert np.array_equal(one.mask, other.mask)


def test_splits_have_streams_of_their_own() -> None:
    splits = ("train", "val", "test")
    assert len({tuple(canvases.split_seeds(splits, split, 5)) for split in splits}) == 3


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(ValueError, match="no split 'vall'; did you mean 'val'"):
        canvases.split_seeds(("train", "val"), "vall", 5)
