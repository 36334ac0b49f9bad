"""JAX: the same numbers as TensorFlow, on several devices too, without TensorFlow or services.

JAX runs in other processes, because a process has one backend.
"""

import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from fcn.network import build, model_file
from fcn.settings import reader
from fcn.settings.network import Network
from tests.shipped import SHIPPED

pytestmark = pytest.mark.usefixtures("seeded")

Done = subprocess.CompletedProcess[str]
SHRUNK = {
    "params.yaml": {"backend: tensorflow": "backend: jax"},
    "tables/digits.yaml": {
        r"width: 0.125": "width: 0.0625",
        r"epochs: \d+": "epochs: 2",
        r"batch: \d+": "batch: 6",
    },
}
QUICK = "--xla_backend_optimization_level=0"
"""Less optimization: compiling the networks takes most of the time of these tests."""
MISSING = "dask distributed dvc fastapi mlflow prefect requests sklearn sqlalchemy tensorflow torch"
WITHOUT = """
import runpy, sys

class Missing:
    names = sys.argv[1].split()

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
sys.argv = sys.argv[2:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


RECIPES: list[dict[str, Any]] = [
    {"learning_rate": 1e-3},
    {
        **{"optimizer": "sgd", "momentum": 0.9, "bias_rate": 2, "weight_decay": 5e-4},
        **{"learning_rate": 1e-6, "reduction": "sum", "class_weights": [0.5, 1, 2]},
    },
]


def first_steps(path: Path, recipe: dict[str, Any]) -> dict[str, Any]:
    """Load the model, predict, train a few steps; runs on either backend."""
    import keras
    import numpy as np

    from fcn.network import model_file
    from fcn.settings.training import Training
    from fcn.training import losses, optimizers

    rng = np.random.default_rng(3)
    images = rng.integers(256, size=(3, 4, 40, 36, 1)).astype("uint8")
    labels = rng.integers(3, size=(3, 4, 40, 36)).astype("uint8")
    labels[:, :, :5] = 255
    model = model_file.load(path)
    three = images[0][:3]  # need not be a multiple of the devices
    logits = keras.ops.convert_to_numpy(model.predict_on_batch(three))
    defaults = {"epochs": 1, "batch": 4, "warmup": 0, "translate": 0, "schedule": "constant"}
    training = Training.model_validate({**defaults, **recipe})
    optimizer, loss = optimizers.build(training, 3), losses.build(training, training.class_weights)
    compiled = keras.backend.backend() == "jax"
    model.compile(optimizer, loss, jit_compile=compiled)
    step_losses = [
        float(model.train_on_batch(*batch)) for batch in zip(images, labels, strict=True)
    ]
    first = model.weights[0].value
    devices = len(first.devices()) if compiled else 1
    return {"logits": logits, "losses": step_losses, "devices": devices}


ON_JAX = f"""
import os, sys
from pathlib import Path
from typing import Any
import numpy as np
from fcn.network import backend
from fcn.settings import reader
from fcn.settings.network import Network

{inspect.getsource(first_steps)}

folder = Path(sys.argv[1])
common = reader.load("digits", folder).common.model_copy(update={{"backend": "jax"}})
backend.use(common)
for number, recipe in enumerate({RECIPES}):
    np.savez(folder / f"one-{{number}}.npz", **first_steps(folder / "start.keras", recipe))
backend.use(common.model_copy(update={{"devices": 2}}))
np.savez(folder / "two.npz", **first_steps(folder / "start.keras", {RECIPES[0]}))
print(os.environ["XLA_FLAGS"])
backend.use(common.model_copy(update={{"devices": 3}}))
"""


def python(script: str, *arguments: str | Path, cwd: Path = SHIPPED, **more: str) -> Done:
    """Run a script in a process; its settings choose the backend."""
    env = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=cwd,
        env={**env, **more},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The settings, shrunk, on JAX."""
    folder = tmp_path_factory.mktemp("jax")
    (folder / "tables").mkdir()
    for name, changes in SHRUNK.items():
        text = (SHIPPED / name).read_text("utf-8")
        for pattern, replacement in changes.items():
            text, count = re.subn(pattern, replacement, text)
            assert count, pattern
        (folder / name).write_text(text, "utf-8")
    return folder


@pytest.fixture(scope="module")
def by_jax(project: Path, tiny: Network, keras_ready: None) -> Done:
    """The first steps on one device and on two, from a network saved here by TensorFlow."""
    keras.utils.set_random_seed(5)
    model = build.network("fcn8s", "vgg16", tiny, 1, 3)
    rng = np.random.default_rng(7)
    for layer in model.layers:
        if layer.name.startswith("score"):  # they start at zero
            layer.set_weights([rng.normal(size=w.shape, scale=0.1) for w in layer.get_weights()])
    model_file.save(model, project / "start.keras")
    return python(ON_JAX, project, XLA_FLAGS=f"--xla_force_host_platform_device_count=2 {QUICK}")


@pytest.mark.parametrize("number", range(len(RECIPES)))
def test_both_backends_give_the_same_logits_and_losses(
    number: int, by_jax: Done, project: Path
) -> None:
    theirs = np.load(project / f"one-{number}.npz")
    ours = first_steps(project / "start.keras", RECIPES[number])
    scale = np.abs(ours["logits"]).max()
    assert scale > 0.01
    np.testing.assert_allclose(theirs["logits"], ours["logits"], atol=1e-4 * scale)
    np.testing.assert_allclose(theirs["losses"], ours["losses"], rtol=1e-4)
    assert len(set(ours["losses"])) == 3


def test_two_devices_give_the_losses_of_one(by_jax: Done, project: Path) -> None:
    one, two = np.load(project / "one-0.npz"), np.load(project / "two.npz")
    assert (one["devices"], two["devices"]) == (1, 2)
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=1e-5)
    np.testing.assert_allclose(two["logits"], one["logits"], rtol=1e-4, atol=1e-6)


def test_more_devices_than_exist_are_refused(by_jax: Done) -> None:
    assert by_jax.returncode == 1
    assert "devices: got 3, but JAX sees 2 (cpu:0, cpu:1); set fewer" in by_jax.stderr


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("devices: 1", "devices: 2", "`devices: 2` with `backend: jax`"),
        ("devices: 1", "devices: 0", "devices: got 0"),
        (
            "backend: tensorflow\ndevices: 1",
            "backend: jax\ndevices: 5",
            r"classifier\.training\.batch: got 16, allowed: multiples of `devices`, 5",
        ),
    ],
)
def test_invalid_devices_are_refused_before_keras_is_imported(
    old: str, new: str, message: str, tree: Callable[[str, str], Path]
) -> None:
    with pytest.raises(ValueError, match=message):
        reader.load("digits", tree(old, new))


def test_deterministic_kernels_are_requested_and_the_users_flags_kept(by_jax: Done) -> None:
    given = "--xla_force_host_platform_device_count=2"
    assert by_jax.stdout.split() == [given, QUICK, "--xla_gpu_deterministic_ops=true"]


def test_training_and_evaluation_need_neither_tensorflow_nor_any_service(
    by_jax: Done, project: Path, small_records: Path, valid: Path
) -> None:
    assert by_jax
    start, model = project / "digits-vgg16.keras", project / "digits-fcn32s.keras"
    network = reader.load("digits", project).table.network("digits-fcn32s")
    model_file.save(build.backbone("vgg16", network, 1), start)
    data = ["--records", small_records, "--valid", valid, "--no-tracking"]
    outs = ["--init-from", start, "--out", model, "--curve", project / "loss.csv"]
    train = ["stages.train", "digits-fcn32s", *data, *outs]
    done = python(WITHOUT, MISSING, *train, cwd=project, XLA_FLAGS=QUICK)
    assert done.returncode == 0, done.stderr
    assert "epoch 2/2  step 4/4" in done.stderr
    outs = ["--metrics", project / "m.json", "--plots", project / "p", "--details", project / "d"]
    evaluate = ["stages.evaluate", "digits-fcn32s", *data, "--model", model, *outs]
    done = python(WITHOUT, MISSING, *evaluate, cwd=project, XLA_FLAGS=QUICK)
    assert done.returncode == 0, done.stderr
    scores = json.loads((project / "m.json").read_text("utf-8"))
    assert scores["images"] == 6
    assert 0 < scores["pixel_accuracy"] <= 1
