from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn.inference import tiles
from fcn.prediction import predictor, refine
from fcn.prediction.options import TILE, PredictorOptions
from fcn.prediction.predictor import Failure, Predictor, Segmentation
from fcn.records.labels import Labels

LABELS = Labels("toy", ("dark", "bright"), ((0, 0, 0), (255, 255, 255)), 1)


class Network:
    """Predicts class 1 where the image is brighter than 127; keeps the shapes of its inputs."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self.shapes.append(images.shape)
        bright = images.astype(np.float32) - 127.5
        return np.concatenate([-bright, bright], axis=-1)


def model(network: Network, tile: int = TILE, batch: int = 8, refine: bool = False) -> Predictor:
    options = PredictorOptions(tile=tile, batch=batch, refine=refine)
    return Predictor(network, LABELS, {}, options)


@pytest.fixture
def pictures(tmp_path: Path, rng: np.random.Generator) -> list[str]:
    """Five pictures, the fourth of another size, and one that is none."""
    names = []
    for number, side in enumerate((8, 8, 8, 9, 8)):
        names.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(rng.integers(256, size=(side, 6)).astype(np.uint8)).save(names[-1])
    Path(tmp_path / "none.png").write_text("none")
    return [*names[:4], str(tmp_path / "none.png"), names[4]]


def test_pictures_are_predicted_in_order_and_broken_ones_named(pictures: list[str]) -> None:
    network = Network()
    results = list(model(network, batch=2).predict(pictures))
    assert [result.name for result in results] == pictures
    assert network.shapes == [(2, 8, 6, 1), (1, 8, 6, 1), (1, 9, 6, 1), (1, 8, 6, 1)]
    for result in results:
        if isinstance(result, Failure):
            assert result.name.endswith("none.png")
            assert "not a picture" in result.reason
        else:
            pixels = np.asarray(Image.open(result.name))
            np.testing.assert_array_equal(result.image[..., 0], pixels)
            np.testing.assert_array_equal(result.mask, pixels > 127)
            assert result.probabilities is None
    assert [type(result) for result in results].count(Failure) == 1


def test_probabilities_are_the_softmax(pictures: list[str]) -> None:
    (one,) = model(Network()).predict(pictures[:1], probabilities=True)
    assert isinstance(one, Segmentation)
    assert one.probabilities is not None
    assert one.probabilities.dtype == np.float16
    np.testing.assert_allclose(one.probabilities.sum(axis=-1, dtype=float), 1, atol=1e-3)
    np.testing.assert_array_equal(one.probabilities.argmax(axis=-1), one.mask)
    assert (predictor.softmax(np.array([[[1e4, 0.0]]])) == [1, 0]).all()


def test_a_large_picture_is_predicted_alone_and_in_tiles(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    large = rng.integers(256, size=(tiles.LEAST + 1, tiles.LEAST)).astype(np.uint8)
    names = [str(tmp_path / f"{number}.png") for number in range(2)]
    for name in names:
        Image.fromarray(large).save(name)
    network = Network()
    for probabilities in (False, True):
        for one in model(network, tiles.LEAST).predict(names, probabilities):
            assert isinstance(one, Segmentation)
            np.testing.assert_array_equal(one.mask, large > 127)
            if probabilities:
                assert one.probabilities is not None
                np.testing.assert_array_equal(one.probabilities.argmax(axis=-1), one.mask)
    assert max(shape[1] for shape in network.shapes) <= tiles.LEAST
    assert {shape[0] for shape in network.shapes} == {1}


@pytest.mark.parametrize("height", [40, tiles.LEAST + 1])
def test_frames_are_predicted_whole_or_in_tiles(height: int, rng: np.random.Generator) -> None:
    frames = rng.integers(256, size=(2, height, tiles.LEAST, 1)).astype(np.uint8)
    network = Network()
    masks = model(network, tiles.LEAST).masks(frames)
    np.testing.assert_array_equal(masks, frames[..., 0] > 127)
    assert (len(network.shapes) == 1) == (height < tiles.LEAST)
    assert max(shape[1] for shape in network.shapes) <= tiles.LEAST


@pytest.mark.parametrize("side", [40, tiles.LEAST + 1])
@pytest.mark.parametrize("probabilities", [False, True])
def test_with_refine_edges_follow_the_picture(
    side: int, probabilities: bool, tmp_path: Path, rng: np.random.Generator
) -> None:
    grey = rng.integers(110, 146, size=(side, side)).astype(np.uint8)
    Image.fromarray(grey).save(name := str(tmp_path / "grey.png"))
    (plain,) = model(Network(), tiles.LEAST).predict([name], probabilities=True)
    (one,) = model(Network(), tiles.LEAST, refine=True).predict([name], probabilities)
    assert isinstance(one, Segmentation)
    assert isinstance(plain, Segmentation)
    assert plain.probabilities is not None
    refined = refine.refine(one.image, plain.probabilities)
    np.testing.assert_array_equal(one.mask, refined.argmax(axis=-1))
    assert (one.mask != plain.mask).any()
    if probabilities:
        assert one.probabilities is not None
        np.testing.assert_allclose(one.probabilities, refined.clip(0, 1), atol=1e-3)
    else:
        assert one.probabilities is None


def test_a_batch_has_no_more_pixels_than_a_tile(tmp_path: Path) -> None:
    side = tiles.LEAST // 2
    names = [str(tmp_path / f"{number}.png") for number in range(6)]
    for name in names:
        Image.new("L", (side, side)).save(name)
    network = Network()
    list(model(network, tiles.LEAST).predict(names))
    assert [shape[0] for shape in network.shapes] == [4, 2]
