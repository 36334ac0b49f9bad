import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from fcn.network import build, model_file
from fcn.settings.network import Network
from fcn.training import losses
from tests import toy

pytestmark = pytest.mark.usefixtures("seeded")
ROOT = Path(__file__).parents[3]
CLASSES = 3
ELSEWHERE = """
import sys
from pathlib import Path
sys.modules |= dict.fromkeys(["jax", "matplotlib", "sklearn"])  # Keras would import them.
import keras
import numpy as np
import fcn.network.layers, fcn.network.upsampling, fcn.training.losses

first, logits, second = map(Path, sys.argv[1:])
network = keras.models.load_model(first)
assert "fcn.network.model_file" not in sys.modules
image = np.random.default_rng(5).integers(256, size=(1, 33, 31, 1))
np.save(logits, keras.ops.convert_to_numpy(network(image)))
from fcn.network import model_file
model_file.save(model_file.load(first), second)
"""


def logits(model: keras.Model, images: np.ndarray) -> np.ndarray:
    return ops.convert_to_numpy(model(images))


@pytest.fixture(scope="module")
def dropping(tiny: Network) -> Network:
    return tiny.model_copy(update={"dropout": 0.5})


@pytest.fixture
def saved(tiny: Network, tmp_path: Path) -> Path:
    model_file.save(toy.network(tiny, 1, CLASSES, "fcn32s"), tmp_path / "model.keras")
    return tmp_path / "model.keras"


def test_a_training_leaves_nothing_in_the_file_but_weights(
    dropping: Network, tmp_path: Path
) -> None:
    model = toy.network(dropping, 1, CLASSES, "fcn8s")
    model_file.save(model, tmp_path / "before.keras")
    weights = model.get_weights()
    model.compile(keras.optimizers.Adam(), losses.pixel_cross_entropy, run_eagerly=True)
    model.train_on_batch(np.ones((1, 32, 32, 1)), np.zeros((1, 32, 32), np.uint8))
    model.set_weights(weights)
    model_file.save(model, tmp_path / "after.keras")
    assert (tmp_path / "before.keras").read_bytes() == (tmp_path / "after.keras").read_bytes()


def test_other_weights_are_other_bytes(saved: Path, tiny: Network) -> None:
    model = model_file.load(saved)
    model.get_layer("score_fr").set_weights(
        [weight + 1 for weight in model.get_layer("score_fr").get_weights()]
    )
    model_file.save(model, saved.with_name("other.keras"))
    assert saved.read_bytes() != saved.with_name("other.keras").read_bytes()


def test_another_process_opens_the_file_with_keras_alone_and_saves_the_same_bytes(
    dropping: Network, tmp_path: Path, rng: np.random.Generator
) -> None:
    model = toy.network(dropping, 1, CLASSES, "fcn16s")
    first, scores, second = (tmp_path / name for name in ("a.keras", "logits.npy", "b.keras"))
    model_file.save(model, first)
    command = [sys.executable, "-c", ELSEWHERE, str(first), str(scores), str(second)]
    subprocess.run(command, cwd=ROOT, check=True)
    expected = logits(model, rng.integers(256, size=(1, 33, 31, 1)))
    np.testing.assert_array_equal(np.load(scores), expected)
    assert first.read_bytes() == second.read_bytes()


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"other\.keras is missing; `dvc repro` makes it"):
        model_file.load(tmp_path / "other.keras")


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
        model_file.load(saved)
    assert "delete it and run `dvc repro`" in str(refused.value)
    assert "\n" not in str(refused.value)


# Keras warns while it looks for weights that do not fit, and raises in the end.
@pytest.mark.filterwarnings("ignore:Skipping nested container:UserWarning")
def test_weights_of_another_network_are_refused_with_one_message(
    saved: Path, tiny: Network
) -> None:
    wider = build.network("fcn32s", "vgg16", tiny.model_copy(update={"width": 0.125}), 1, CLASSES)
    model_file.save(wider, saved.with_name("wider.keras"))
    with zipfile.ZipFile(saved.with_name("wider.keras")) as archive:
        rewritten(saved, model=archive.read("model.weights.h5"))
    with pytest.raises(ValueError, match=r"model\.keras cannot be opened as a model") as refused:
        model_file.load(saved)
    assert "\n" not in str(refused.value)


def test_a_changed_byte_of_the_weights_is_noticed(saved: Path) -> None:
    data = bytearray(saved.read_bytes())
    data[len(data) // 2] ^= 1
    saved.write_bytes(data)
    with pytest.raises(ValueError, match=r"model\.keras cannot be opened as a model"):
        model_file.load(saved)
