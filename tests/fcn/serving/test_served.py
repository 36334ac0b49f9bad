import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras import ops

from fcn.common import files
from fcn.network import build, model_file
from fcn.settings.network import Network
from fcn.tracking import connection, runs

pytestmark = pytest.mark.usefixtures("seeded")
ELSEWHERE = """
import sys
import mlflow
import numpy as np
model = mlflow.pyfunc.load_model(sys.argv[1])
np.save(sys.argv[3], model.predict(np.load(sys.argv[2])))
import fcn
print(fcn.__file__)
"""


def test_a_logged_model_answers_with_the_networks_masks_without_the_project(
    mlflow: Any, tiny: Network, tmp_path: Path, rng: np.random.Generator
) -> None:
    network = build.network("fcn16s", "vgg16", tiny, 1, 4)
    score = network.get_layer("score_fr")
    kernel, bias = score.get_weights()
    kernel[..., 1], bias[2] = 1, 1e-6  # class 1 for pixels above 0, else class 2
    score.set_weights([kernel, bias])
    model_file.save(network, tmp_path / "model.keras")
    with runs.open_run("train", "toy-fcn16s", "toy", {}) as run:
        run.log_model(tmp_path / "model.keras", 1, "tensorflow")

    (done,) = mlflow.MlflowClient().search_runs([connection.open_store().experiment("toy")])
    assert done.data.tags["model.md5"] == files.md5(tmp_path / "model.keras")
    (logged,) = done.outputs.model_outputs
    images = rng.integers(256, size=(3, 33, 50, 1)).astype(np.uint8)
    images[1] = 0
    np.save(tmp_path / "images.npy", images)
    arguments = [f"models:/{logged.model_id}", "images.npy", "masks.npy"]
    answered = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, *arguments],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=True,
    )
    code = Path(answered.stdout.strip())
    assert code.is_relative_to(tmp_path)
    assert not [path for path in code.parents if (path / "fcn/samples").exists()]
    masks = np.load(tmp_path / "masks.npy")
    assert masks.dtype == np.uint8
    assert np.unique(masks[[0, 2]]) == 1
    assert np.unique(masks[1]) == 2
    np.testing.assert_array_equal(masks, ops.convert_to_numpy(network(images)).argmax(axis=-1))

    signature = mlflow.models.get_model_info(arguments[0]).signature
    assert [(str(i.type), i.shape) for i in signature.inputs] == [("object", (-1,))]
    assert [(str(o.type), o.shape) for o in signature.outputs] == [("object", (-1,))]
