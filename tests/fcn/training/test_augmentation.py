from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fcn.records.sample import IGNORE_INDEX
from fcn.settings.training import Training
from fcn.training import augmentation

HEIGHT, WIDTH = 24, 32
BLOCK = 8
"""Side of a block of one class: larger than the border that bilinear resizing mixes."""
CLASSES = (3, 40, 77, 120, 200, 250)


def settings(**changed: Any) -> Training:
    return Training(
        epochs=1, batch=1, learning_rate=1e-3, warmup=0.0, **{"translate": 0, **changed}
    )


def blocks(channels: int = 3) -> augmentation.Arrays:
    """Blocks whose channels all hold the class."""
    rng = np.random.default_rng(4)
    coarse = rng.choice(np.array(CLASSES, np.uint8), size=(HEIGHT // BLOCK, WIDTH // BLOCK))
    label = np.kron(coarse, np.ones((BLOCK, BLOCK), np.uint8))
    return {"image": np.stack([label] * channels, axis=-1), "label": label}


def augmented(training: Training, seed: int, sample: augmentation.Arrays) -> augmentation.Arrays:
    return augmentation.Augment(training).random_map(sample, np.random.default_rng(seed))


GEOMETRY = st.fixed_dictionaries(
    {},
    optional={
        "translate": st.integers(1, 40),
        "flip": st.just(True),
        "scale": st.sampled_from([(0.5, 0.5), (0.9, 1.1), (0.7, 2.0), (1.0, 1.0)]),
        "crop": st.tuples(st.integers(1, 48), st.integers(1, 48)),
    },
)


@hypothesis_settings(deadline=None, max_examples=50)
@given(geometry=GEOMETRY, seed=st.integers(0, 2**32), channels=st.sampled_from([1, 3]))
def test_image_and_label_change_together_and_no_label_is_invented(
    geometry: dict[str, Any], seed: int, channels: int
) -> None:
    before = blocks(channels)
    after = augmented(settings(**geometry), seed, before)
    image, label = after["image"], after["label"]
    size = geometry.get("crop", (HEIGHT, WIDTH))
    assert image.shape == (*size, channels)
    assert label.shape == size
    assert image.dtype == label.dtype == np.uint8
    assert set(np.unique(label)) <= {*np.unique(before["label"]), IGNORE_INDEX}
    assert not image[label == IGNORE_INDEX].any()
    # Inside a block, where all neighbours have one class, the image holds the same class.
    ground = np.ones((5, 5), np.uint8)
    inside = cv2.erode(label, ground) == cv2.dilate(label, ground)
    inside[:2], inside[-2:], inside[:, :2], inside[:, -2:] = False, False, False, False
    labelled = inside & (label != IGNORE_INDEX)
    assert (image[labelled] == label[labelled][:, None]).all()


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.3, 2.0])
def test_rescaled_labels_are_aligned_with_the_rescaled_image(factor: float) -> None:
    """An offset of half a pixel would change the share of pixels that agree."""
    image = np.zeros((40, 60, 1), np.uint8)
    image[:, 30:] = 200
    label = (image[..., 0] > 100).astype(np.uint8)
    large, classes = augmentation.rescale(image, label, factor)
    assert ((large[..., 0] > 100) == classes).mean() > 0.99
    assert abs(float((large[..., 0] / 200.0).mean()) - float(classes.mean())) < 0.01


def test_half_of_the_samples_are_flipped() -> None:
    before = blocks()
    flipped = 0
    for seed in range(200):
        after = augmented(settings(flip=True), seed, before)
        same = np.array_equal(after["label"], before["label"])
        assert same or np.array_equal(after["label"], before["label"][:, ::-1])
        flipped += not same
    assert 70 < flipped < 130


def test_scale_factors_are_drawn_uniformly() -> None:
    """The side of a square gives the factor."""
    image = np.zeros((100, 100, 1), np.uint8)
    image[40:60, 40:60] = 255
    sample = {"image": image, "label": image[..., 0]}
    training = settings(scale=(0.5, 1.5), crop=(160, 160))
    sides = [
        np.sqrt(augmented(training, seed, sample)["image"].mean() / 255) * 8 for seed in range(99)
    ]
    assert min(sides) < 0.6
    assert max(sides) > 1.4
    assert np.mean(sides) == pytest.approx(1.0, abs=0.1)


def test_crops_cover_all_positions_inside_the_image() -> None:
    position = np.arange(12, dtype=np.uint8).reshape(3, 4)
    sample = {"image": position[..., None], "label": position}
    tops = {int(augmented(settings(crop=(2, 2)), n, sample)["label"][0, 0]) for n in range(200)}
    assert tops == {0, 1, 2, 4, 5, 6}


def test_a_smaller_image_is_padded_with_black_and_ignore_on_all_sides() -> None:
    sample = {"image": np.full((2, 9, 3), 7, np.uint8), "label": np.ones((2, 9), np.uint8)}
    tops = set()
    for seed in range(100):
        after = augmented(settings(crop=(4, 5)), seed, sample)
        labelled = after["label"] != IGNORE_INDEX
        assert labelled.sum() == 2 * 5  # as high as it was, as wide as the crop
        assert (after["image"][labelled] == 7).all()
        assert not after["image"][~labelled].any()
        tops.add(int(labelled.argmax(axis=0)[0]))
    assert tops == {0, 1, 2}


def test_a_rescaled_image_has_at_least_one_pixel() -> None:
    sample = {"image": np.ones((1, 3, 3), np.uint8), "label": np.ones((1, 3), np.uint8)}
    assert augmented(settings(scale=(0.1, 0.1)), 1, sample)["image"].shape == (1, 3, 3)


def test_a_scalar_label_is_unchanged() -> None:
    training = settings(translate=3, flip=True, scale=(0.5, 2.0), brightness=0.5)
    after = augmented(training, 1, {"image": blocks()["image"], "label": np.array(4, np.int32)})
    assert after["label"] == 4
    assert after["label"].dtype == np.int32


def oracle(image: np.ndarray, brightness: float, contrast: float, saturation: float) -> np.ndarray:
    """The three steps one after the other, in float64."""
    pixels = image.astype(np.float64)
    grey = [0.299, 0.587, 0.114] if image.shape[-1] == 3 else [1.0]
    pixels = pixels * brightness
    pixels = contrast * pixels + (1 - contrast) * (pixels @ grey).mean()
    pixels = saturation * pixels + (1 - saturation) * (pixels @ grey)[..., None]
    return np.clip(np.rint(pixels), 0, 255)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "change", [(1, 1, 1), (0.5, 1, 1), (1, 1.7, 1), (1, 1, 0), (1.3, 0.6, 1.5)]
)
def test_colours_change_as_defined(
    change: tuple[float, float, float], channels: int, rng: np.random.Generator
) -> None:
    image = rng.integers(256, size=(5, 7, channels), dtype=np.uint8)
    got = augmentation.recolour(image, *change).astype(float)
    assert got.shape == image.shape
    assert abs(got - oracle(image, *change)).max() <= 1  # a rounding at .5
    assert (got == oracle(image, *change)).mean() > 0.9


def test_colour_changes_keep_the_label_and_stay_within_their_strength() -> None:
    before = blocks()
    means = []
    for seed in range(60):
        after = augmented(settings(brightness=0.2), seed, before)
        np.testing.assert_array_equal(after["label"], before["label"])
        dark = before["image"] < 200  # the bright ones are cut off at 255
        means.append(after["image"][dark].mean() / before["image"][dark].mean())
    assert 0.79 < min(means) < 0.85
    assert 1.15 < max(means) < 1.21


def test_the_generator_determines_the_sample_and_the_input_is_unchanged() -> None:
    training = settings(translate=3, flip=True, scale=(0.8, 1.2), crop=(20, 20), contrast=0.3)
    before = blocks()
    first, again, second = (augmented(training, seed, before) for seed in (1, 1, 2))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["image"], second["image"])
    assert np.array_equal(before["image"], blocks()["image"])


@pytest.mark.parametrize(
    ("changed", "enabled"),
    [
        ({}, False),
        ({"scale": (1.0, 1.1)}, True),
        ({"saturation": 0.1}, True),
        ({"flip": True}, True),
    ],
)
def test_augmentation_is_enabled_by_any_of_its_settings(
    changed: dict[str, Any], enabled: bool
) -> None:
    assert augmentation.is_enabled(settings(**changed)) == enabled


@pytest.mark.parametrize(
    ("down", "right"), [(0, 0), (2, 3), (-2, -3), (1, -5), (0, WIDTH - 1), (HEIGHT, 0), (99, 99)]
)
def test_crop_or_pad_copies_inside_and_fills_outside(down: int, right: int) -> None:
    pixels = np.arange(1, 1 + HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
    moved = augmentation.crop_or_pad(pixels, -down, -right, HEIGHT, WIDTH, -1)
    for y, x in np.ndindex(HEIGHT, WIDTH):
        inside = 0 <= y - down < HEIGHT and 0 <= x - right < WIDTH
        assert moved[y, x] == (pixels[y - down, x - right] if inside else -1)
