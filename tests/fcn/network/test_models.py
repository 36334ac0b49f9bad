import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from fcn.network import backend, models
from fcn.settings import reader
from fcn.settings.network import Network
from fcn.training import losses

pytestmark = pytest.mark.usefixtures("seeded")
ROOT = Path(__file__).parents[3]
CLASSES = 3
BACKBONE = [
    "conv1_1 conv1_2 pool1 conv2_1 conv2_2 pool2 conv3_1 conv3_2 conv3_3 pool3",
    "conv4_1 conv4_2 conv4_3 pool4 conv5_1 conv5_2 conv5_3 pool5 fc6 drop6 fc7 drop7",
]
PAPER = {
    "fcn32s": "score_fr upscore32",
    "fcn16s": "score_fr score_pool4 upscore2 fuse_pool4 upscore16",
    "fcn8s": "score_fr score_pool4 score_pool3 upscore2 fuse_pool4 upscore_pool4 fuse_pool3"
    " upscore8",
    "fcn4s": "score_fr score_pool4 score_pool3 score_pool2 upscore2 fuse_pool4 upscore_pool4"
    " fuse_pool3 upscore_pool3 fuse_pool2 upscore4",
    "fcn8s_at_once": "scale_pool4 scale_pool3 score_fr score_pool4 score_pool3 upscore2 fuse_pool4"
    " upscore_pool4 fuse_pool3 upscore8",
}
ELSEWHERE = """
import sys
from pathlib import Path
import keras
import numpy as np
import fcn.network.layers, fcn.training.losses

first, logits, second = map(Path, sys.argv[1:])
network = keras.models.load_model(first)
assert "fcn.network.models" not in sys.modules
image = np.random.default_rng(5).integers(256, size=(1, 33, 31, 1))
np.save(logits, keras.ops.convert_to_numpy(network(image)))
from fcn.network import models
models.save(models.load(first), second)
"""


def network(head: str, tiny: Network, channels: int = 1) -> keras.Model:
    """An untrained network whose scores are not zero."""
    model = models.network(head, "vgg16", tiny, channels, CLASSES)
    rng = np.random.default_rng(7)
    for layer in model.layers:
        if layer.name.startswith("score"):
            layer.set_weights([rng.normal(size=weight.shape) for weight in layer.get_weights()])
    return model


def logits(model: keras.Model, images: np.ndarray) -> np.ndarray:
    return ops.convert_to_numpy(model(images))


@pytest.fixture(scope="module")
def dropping(tiny: Network) -> Network:
    return tiny.model_copy(update={"dropout": 0.5})


@pytest.fixture
def saved(tiny: Network, tmp_path: Path) -> Path:
    models.save(network("fcn32s", tiny), tmp_path / "model.keras")
    return tmp_path / "model.keras"


@pytest.mark.parametrize("head", PAPER)
def test_scores_start_at_zero(head: str, tiny: Network, rng: np.random.Generator) -> None:
    model = models.network(head, "vgg16", tiny, 1, CLASSES)
    assert not logits(model, rng.integers(256, size=(1, 40, 50, 1))).any()


@pytest.mark.parametrize("head", PAPER)
def test_layers_have_the_papers_names(head: str, tiny: Network) -> None:
    names = [layer.name for layer in network(head, tiny).layers]
    wanted = " ".join([*BACKBONE, PAPER[head]]).split()
    assert [name for name in names if name in wanted] == [
        name for name in names if not name.endswith("_crop") and name not in ("images", "normalise")
    ]
    assert set(wanted) <= set(names)


def test_at_width_one_it_is_vgg16_as_published(tiny: Network) -> None:
    model = models.backbone("vgg16", tiny.model_copy(update={"fc6_kernel": 7}), 3)
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert [layer.filters / tiny.width for layer in convolutions] == [
        *(64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512),
        *(4096, 4096),
    ]
    assert [layer.kernel_size for layer in convolutions] == [(3, 3)] * 13 + [(7, 7), (1, 1)]


def test_at_width_one_with_21_classes_it_has_the_papers_134_million_parameters(
    tiny: Network,
) -> None:
    published = tiny.model_copy(update={"width": 1.0, "fc6_kernel": 7})
    with keras.StatelessScope(initialize_variables=False):  # shapes only, half a GB saved
        model = models.network("fcn32s", "vgg16", published, 3, 21)
        shapes = [w.shape for layer in model.layers[:-2] for w in layer.weights]
    assert model.layers[-3].name == "score_fr"
    assert round(sum(int(np.prod(shape)) for shape in shapes) / 1e6) == 134


def test_fc6_and_fc7_have_a_width_of_their_own_or_are_left_out(tiny: Network) -> None:
    def channels(**changed: object) -> list[int]:
        model = models.backbone("vgg16", tiny.model_copy(update=changed), 1)
        return [x.filters for x in model.layers if isinstance(x, keras.layers.Conv2D)][12:]

    assert channels() == [32, 256, 256]
    assert channels(fc_width=0.125) == [32, 512, 512]
    assert channels(fc=False) == [32]


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"no file 'fcn16' in fcn/heads.*fcn16s"):
        models.module("heads", "fcn16")


def test_a_training_leaves_nothing_in_the_file_but_weights(
    dropping: Network, tmp_path: Path
) -> None:
    model = network("fcn8s", dropping)
    models.save(model, tmp_path / "before.keras")
    weights = model.get_weights()
    model.compile(keras.optimizers.Adam(), losses.pixel_cross_entropy)
    model.train_on_batch(np.ones((1, 32, 32, 1)), np.zeros((1, 32, 32), np.uint8))
    model.set_weights(weights)
    models.save(model, tmp_path / "after.keras")
    assert (tmp_path / "before.keras").read_bytes() == (tmp_path / "after.keras").read_bytes()


def test_other_weights_are_other_bytes(saved: Path, tiny: Network) -> None:
    model = models.load(saved)
    model.get_layer("score_fr").set_weights(
        [weight + 1 for weight in model.get_layer("score_fr").get_weights()]
    )
    models.save(model, saved.with_name("other.keras"))
    assert saved.read_bytes() != saved.with_name("other.keras").read_bytes()


def test_another_process_opens_the_file_with_keras_alone_and_saves_the_same_bytes(
    dropping: Network, tmp_path: Path, rng: np.random.Generator
) -> None:
    model = network("fcn16s", dropping)
    first, scores, second = (tmp_path / name for name in ("a.keras", "logits.npy", "b.keras"))
    models.save(model, first)
    command = [sys.executable, "-c", ELSEWHERE, str(first), str(scores), str(second)]
    subprocess.run(command, cwd=ROOT, check=True)
    expected = logits(model, rng.integers(256, size=(1, 33, 31, 1)))
    np.testing.assert_array_equal(np.load(scores), expected)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.usefixtures("half_precision")
def test_in_half_precision_weights_and_scores_are_single(
    loaded: reader.Loaded, tiny: Network, tmp_path: Path
) -> None:
    model = network("fcn8s", tiny)
    models.save(model, tmp_path / "model.keras")
    backend.use(loaded.common)
    for network_of_half in (model, models.load(tmp_path / "model.keras")):
        assert network_of_half.get_layer("fc7").compute_dtype == "bfloat16"
        assert {weight.dtype for weight in network_of_half.weights} == {"float32"}
        scores = [
            layer
            for layer in network_of_half.layers
            if layer.name.startswith(("score", "upscore", "fuse"))
        ]
        assert {layer.compute_dtype for layer in scores} == {"float32"}
        assert logits(network_of_half, np.ones((1, 8, 8, 1))).dtype == np.float32


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"other\.keras is missing; `dvc repro` makes it"):
        models.load(tmp_path / "other.keras")


def rewritten(path: Path, **changed: bytes) -> None:
    """Replace members of a saved model, each named by what stands before its first dot."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, changed.get(name.split(".")[0], content))


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("not a model"),
        lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
        lambda path: path.write_bytes(path.read_bytes()[1000:]),
        lambda path: rewritten(path, config=b"{"),
        lambda path: rewritten(path, config=b"{}"),
        lambda path: rewritten(
            path, config=b'{"module": "elsewhere", "class_name": "Net", "config": {}}'
        ),
        lambda path: rewritten(path, model=b"no weights"),
        lambda path: zipfile.ZipFile(path, "w").close(),
    ],
    ids=[
        "empty",
        "text",
        "cut short",
        "beginning lost",
        "broken graph",
        "no graph",
        "another project's class",
        "no weights",
        "empty archive",
    ],
)
def test_a_damaged_or_foreign_file_is_refused_with_one_message(saved: Path, damage) -> None:
    damage(saved)
    with pytest.raises(ValueError, match=r"model\.keras cannot be opened as a model") as refused:
        models.load(saved)
    assert "delete it and run `dvc repro`" in str(refused.value)
    assert "\n" not in str(refused.value)


# Keras warns while it looks for weights that do not fit, and raises in the end.
@pytest.mark.filterwarnings("ignore:Skipping nested container:UserWarning")
def test_weights_of_another_network_are_refused_with_one_message(
    saved: Path, tiny: Network
) -> None:
    wider = models.network("fcn32s", "vgg16", tiny.model_copy(update={"width": 0.125}), 1, CLASSES)
    models.save(wider, saved.with_name("wider.keras"))
    with zipfile.ZipFile(saved.with_name("wider.keras")) as archive:
        rewritten(saved, model=archive.read("model.weights.h5"))
    with pytest.raises(ValueError, match=r"model\.keras cannot be opened as a model") as refused:
        models.load(saved)
    assert "\n" not in str(refused.value)


def test_a_changed_byte_of_the_weights_is_noticed(saved: Path) -> None:
    data = bytearray(saved.read_bytes())
    data[len(data) // 2] ^= 1
    saved.write_bytes(data)
    with pytest.raises(ValueError, match=r"model\.keras cannot be opened as a model"):
        models.load(saved)
