from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn.inference import refine, tiles
from fcn.prediction import answering
from fcn.prediction.answering import Answer, Opened, Skipped
from fcn.records.record import Labels

LABELS = Labels("toy", ("dark", "bright"), ((0, 0, 0), (255, 255, 255)), 1)


class Network:
    """Sees what is brighter than 127, and remembers how it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, ...]] = []

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self.asked.append(images.shape)
        bright = images.astype(np.float32) - 127.5
        return np.concatenate([-bright, bright], axis=-1)


@pytest.fixture
def pictures(tmp_path: Path, rng: np.random.Generator) -> list[str]:
    """Five pictures, the fourth of another size, and one that is none."""
    names = []
    for number, side in enumerate((8, 8, 8, 9, 8)):
        names.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(rng.integers(256, size=(side, 6)).astype(np.uint8)).save(names[-1])
    Path(tmp_path / "none.png").write_text("none")
    return [*names[:4], str(tmp_path / "none.png"), names[4]]


def test_pictures_are_answered_in_order_and_broken_ones_named(pictures: list[str]) -> None:
    network = Network()
    model = Opened(network, LABELS, {})
    found = list(answering.answers(model, pictures, 768, 2))
    assert [one.name for one in found] == pictures
    assert network.asked == [(2, 8, 6, 1), (1, 8, 6, 1), (1, 9, 6, 1), (1, 8, 6, 1)]
    for one in found:
        if isinstance(one, Skipped):
            assert one.name.endswith("none.png")
            assert "no picture" in one.reason
        else:
            seen = np.asarray(Image.open(one.name))
            np.testing.assert_array_equal(one.image[..., 0], seen)
            np.testing.assert_array_equal(one.mask, seen > 127)
            assert one.probabilities is None
    assert [type(one) for one in found].count(Skipped) == 1


def test_probabilities_are_the_softmax(pictures: list[str]) -> None:
    (one,) = answering.answers(Opened(Network(), LABELS, {}), pictures[:1], 768, 1, surely=True)
    assert isinstance(one, Answer)
    assert one.probabilities is not None
    assert one.probabilities.dtype == np.float16
    np.testing.assert_allclose(one.probabilities.sum(axis=-1, dtype=float), 1, atol=1e-3)
    np.testing.assert_array_equal(one.probabilities.argmax(axis=-1), one.mask)
    assert (answering.softmax(np.array([[[1e4, 0.0]]])) == [1, 0]).all()


def test_a_large_picture_goes_in_tiles_and_alone(tmp_path: Path, rng: np.random.Generator) -> None:
    large = rng.integers(256, size=(tiles.LEAST + 1, tiles.LEAST)).astype(np.uint8)
    names = [str(tmp_path / f"{number}.png") for number in range(2)]
    for name in names:
        Image.fromarray(large).save(name)
    network = Network()
    for surely in (False, True):
        found = answering.answers(Opened(network, LABELS, {}), names, tiles.LEAST, 8, surely)
        for one in found:
            assert isinstance(one, Answer)
            np.testing.assert_array_equal(one.mask, large > 127)
            if surely:
                assert one.probabilities is not None
                np.testing.assert_array_equal(one.probabilities.argmax(axis=-1), one.mask)
    assert max(shape[1] for shape in network.asked) <= tiles.LEAST
    assert {shape[0] for shape in network.asked} == {1}


@pytest.mark.parametrize("height", [40, tiles.LEAST + 1])
def test_a_film_has_masks_of_its_frames_whole_or_in_tiles(
    height: int, rng: np.random.Generator
) -> None:
    frames = rng.integers(256, size=(2, height, tiles.LEAST, 1)).astype(np.uint8)
    network = Network()
    masks = answering.masks(Opened(network, LABELS, {}), frames, tiles.LEAST)
    np.testing.assert_array_equal(masks, frames[..., 0] > 127)
    assert (len(network.asked) == 1) == (height < tiles.LEAST)
    assert max(shape[1] for shape in network.asked) <= tiles.LEAST


@pytest.mark.parametrize("side", [40, tiles.LEAST + 1])
@pytest.mark.parametrize("surely", [False, True])
def test_edges_follow_the_picture_where_that_is_wanted(
    side: int, surely: bool, tmp_path: Path, rng: np.random.Generator
) -> None:
    grey = rng.integers(110, 146, size=(side, side)).astype(np.uint8)
    Image.fromarray(grey).save(name := str(tmp_path / "grey.png"))
    (as_it_is,) = answering.answers(Opened(Network(), LABELS, {}), [name], tiles.LEAST, 8, True)
    model = Opened(Network(), LABELS, {}, refine=True)
    (one,) = answering.answers(model, [name], tiles.LEAST, 8, surely)
    assert isinstance(one, Answer)
    assert isinstance(as_it_is, Answer)
    assert as_it_is.probabilities is not None
    moved = refine.refine(one.image, as_it_is.probabilities)
    np.testing.assert_array_equal(one.mask, moved.argmax(axis=-1))
    assert (one.mask != as_it_is.mask).any()
    if surely:
        assert one.probabilities is not None
        np.testing.assert_allclose(one.probabilities, moved.clip(0, 1), atol=1e-3)
    else:
        assert one.probabilities is None


def test_a_batch_has_no_more_pixels_than_a_tile(tmp_path: Path) -> None:
    side = tiles.LEAST // 2
    names = [str(tmp_path / f"{number}.png") for number in range(6)]
    for name in names:
        Image.new("L", (side, side)).save(name)
    network = Network()
    list(answering.answers(Opened(network, LABELS, {}), names, tiles.LEAST, 8))
    assert [shape[0] for shape in network.asked] == [4, 2]


def test_files_of_pictures_with_one_name_do_not_collide() -> None:
    asked = ["a/x.jpg", "b/x.jpg", "a/y.png", "a/Y.jpg", "-"]
    short = answering.names(asked)
    assert len(set(short.values())) == len(asked)
    assert short["-"] == "stdin"
    assert answering.names(["a/z.png"]) == {"a/z.png": "z"}
    beside = answering.names(asked, beside=True)
    assert (beside["a/x.jpg"], beside["b/x.jpg"]) == ("x", "x")
    assert beside["a/y.png"] != beside["a/Y.jpg"]


@pytest.mark.parametrize(("done", "left", "code"), [(2, 0, 0), (2, 1, 3), (0, 1, 1)])
def test_the_exit_code_says_whether_something_was_left_out(
    done: int, left: int, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answering.summary(done, [Skipped("a.png", "broken")] * left, Path("out")) == code
    said = capsys.readouterr().err
    assert said.count("skipped a.png: broken") == left
    assert f"{done} picture(s) done" in said
