import keras
import numpy as np
import pytest
from keras import ops

from fcn.network import build
from fcn.pretrained import classifier
from fcn.records.sample import ObjectCrop
from fcn.settings.backbone import Backbone, Classifier
from fcn.settings.network import Network
from fcn.settings.training import Training

pytestmark = pytest.mark.usefixtures("seeded")
CLASSES = 2
SIDE = 32


def settings(tiny: Network, side: int, fc6_kernel: int) -> Backbone:
    training = Training(epochs=6, batch=8, learning_rate=1e-3, warmup=0.1, translate=1)
    return Backbone(
        table="digits",
        dataset="digits",
        raw="digits",
        source="digits",
        module="vgg16",
        network=tiny.model_copy(update={"fc6_kernel": fc6_kernel}),
        weights="classifier",
        classifier=Classifier(side=side, training=training),
    )


def crops(count: int, rng: np.random.Generator) -> list[ObjectCrop]:
    """Vertical bars are class 1, horizontal bars class 2."""
    drawn = []
    for number in range(count):
        image = np.zeros((20, 20), np.uint8)
        at = int(rng.integers(4, 14))
        image[at : at + 3] = 255
        drawn.append(ObjectCrop(image, 2) if number % 2 else ObjectCrop(image.T, 1))
    return drawn


@pytest.mark.parametrize(("side", "fc6_kernel"), [(32, 1), (96, 3), (32, 3)])
def test_the_backbone_equals_the_classifier_at_its_input_size(
    side: int, fc6_kernel: int, tiny: Network, rng: np.random.Generator
) -> None:
    backbone_settings = settings(tiny, side, fc6_kernel)
    assert backbone_settings.classifier is not None
    dense = classifier.build(backbone_settings, backbone_settings.classifier, 1, CLASSES)
    dense.set_weights([w + rng.normal(0, 0.01, w.shape) for w in dense.get_weights()])
    backbone = build.backbone("vgg16", backbone_settings.network, 1)
    classifier.decapitate(dense, backbone)
    images = rng.integers(256, size=(2, side, side, 1))
    fc7 = keras.Model(dense.input, dense.get_layer("drop7").output)
    flat, maps = ops.convert_to_numpy(fc7(images)), ops.convert_to_numpy(backbone(images))
    middle = side // 32 // 2
    np.testing.assert_allclose(maps[:, middle, middle], flat, atol=1e-4, rtol=1e-4)
    assert flat.std() > 0.01
    weight, bias = dense.get_layer("score").get_weights()
    np.testing.assert_allclose(
        maps[:, middle, middle] @ weight + bias, ops.convert_to_numpy(dense(images)), atol=1e-4
    )


def test_an_input_larger_than_fc6_is_refused(tiny: Network) -> None:
    backbone_settings = settings(tiny, 96, 1)
    assert backbone_settings.classifier is not None
    dense = classifier.build(backbone_settings, backbone_settings.classifier, 1, CLASSES)
    with pytest.raises(ValueError, match=r"fc6 \(288, 256\) does not fit fc6 \(1, 1, 32, 256\)"):
        classifier.decapitate(dense, build.backbone("vgg16", backbone_settings.network, 1))


def test_it_learns_and_is_evaluated_after_every_epoch(
    tiny: Network, rng: np.random.Generator
) -> None:
    backbone_settings = settings(tiny, SIDE, 1)
    assert backbone_settings.classifier is not None
    keras.utils.set_random_seed(1)
    dense = classifier.build(backbone_settings, backbone_settings.classifier, 1, CLASSES)
    mislabelled = [ObjectCrop(crop.image, 3 - crop.label) for crop in crops(12, rng)]
    splits = {"train": crops(48, rng), "val": mislabelled}
    logged: list[int] = []
    epochs = classifier.train(
        dense,
        backbone_settings.classifier,
        splits,
        1,
        lambda values, step: logged.append(step) if "val_accuracy" in values else None,
    )
    assert [epoch.step for epoch in epochs] == logged
    assert len(epochs) == 6
    assert epochs[-1].scores == {"val_accuracy": classifier.accuracy(dense, splits["val"], SIDE)}
    assert classifier.accuracy(dense, crops(12, rng), SIDE) > 0.9
    assert epochs[-1].scores["val_accuracy"] < 0.1
    assert epochs[-1].loss < epochs[0].loss


def test_accuracy_is_the_share_of_right_labels(tiny: Network, rng: np.random.Generator) -> None:
    backbone_settings = settings(tiny, SIDE, 1)
    assert backbone_settings.classifier is not None
    dense = classifier.build(backbone_settings, backbone_settings.classifier, 1, CLASSES)
    always_first = dense.get_layer("score")
    always_first.set_weights([np.zeros(always_first.kernel.shape), np.array([1.0, 0.0])])
    some = crops(8, rng)
    assert classifier.accuracy(dense, some[:1] + some[::2], SIDE) == 1
    assert classifier.accuracy(dense, some, SIDE) == 0.5
    assert classifier.accuracy(dense, some[1::2], SIDE) == 0


def test_a_crop_is_centred_and_labels_start_after_the_background() -> None:
    sample = classifier._sample(ObjectCrop(np.full((2, 4), 9, np.uint8), 3), 6)
    expected = np.zeros((6, 6), np.uint8)
    expected[2:4, 1:5] = 9
    np.testing.assert_array_equal(sample["image"][..., 0], expected)
    assert sample["label"] == 2


def test_a_crop_larger_than_the_input_is_refused() -> None:
    with pytest.raises(ValueError, match=r"classifier\.side: got 16, but a crop is 20x20"):
        classifier._sample(ObjectCrop(np.zeros((20, 20), np.uint8), 1), 16)


def test_the_fingerprint_changes_with_pixels_labels_and_splits(rng: np.random.Generator) -> None:
    some = crops(4, rng)
    first = classifier.fingerprint({"train": some[:2], "val": some[2:]})
    assert first == classifier.fingerprint({"val": some[2:], "train": some[:2]})
    painted = some[0].image.copy()
    painted[0, 0] ^= 1
    others = [
        {"train": [ObjectCrop(painted, some[0].label), some[1]], "val": some[2:]},
        {"train": [ObjectCrop(some[0].image, 3 - some[0].label), some[1]], "val": some[2:]},
        {"train": some[:3], "val": some[3:]},
        {"val": some[:2], "train": some[2:]},
    ]
    assert len({classifier.fingerprint(other) for other in others} | {first}) == 5
