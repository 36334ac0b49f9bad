"""A backbone from a file that a person brought, at the stage itself."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from fcn.common import files
from fcn.records import verdict
from fcn.settings import reader
from fcn.training import checkpoints
from stages import backbone
from tests.shipped import SHIPPED

KEY = "digits-vgg16"

pytestmark = pytest.mark.usefixtures("keras_ready")


@pytest.fixture
def made(
    small_records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Path]:
    """Make the digits' backbone from `mine/own.keras`, with more settings of the file."""
    monkeypatch.setattr(checkpoints, "ROOT", tmp_path / "checkpoints")

    def make(**more: object) -> Path:
        table = YAML(typ="safe").load(SHIPPED / "tables/digits.yaml")
        own = table["backbones"][KEY]
        del own["classifier"]
        own |= {"raw": "mine", "source": "pretrained/own", "weights": "file"}
        own["file"] = {"format": "model", "path": "own.keras"} | more
        (tmp_path / "tables").mkdir()
        (tmp_path / "tables/digits.yaml").write_text(json.dumps(table))
        shutil.copy(SHIPPED / "params.yaml", tmp_path)
        monkeypatch.chdir(tmp_path)
        valid, out = tmp_path / "valid.json", tmp_path / "out.keras"
        verdict.write(valid, small_records)
        mine, metrics = tmp_path / "mine", tmp_path / "metrics.json"
        backbone.backbone(KEY, mine, small_records, valid, out, metrics, no_tracking=True)
        return out

    return make


def test_it_takes_the_files_weights_and_tells_what_became_of_each_layer(
    made: Callable[..., Path],
    loaded: reader.Loaded,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from fcn.network import build, model_file  # after `keras_ready`

    network = loaded.table.backbones[KEY].network
    source = build.backbone("vgg16", network, 1)
    source.set_weights([weight + 1 for weight in source.get_weights()])
    model_file.save(source, tmp_path / "mine/own.keras")
    kept = "fc7"
    target = model_file.load(made(scratch=[kept]))
    told = files.read_json(tmp_path / "metrics.json")
    taken = [layer.name for layer in source.layers if layer.weights and layer.name != kept]
    assert told["weights"] == "file"
    assert told["layers"] == {"taken": taken, "in the file only": [kept], "random": [kept]}
    assert f"{KEY}: random: {kept}" in capsys.readouterr().err
    for name in [*taken, kept]:
        ours, theirs = (model.get_layer(name).get_weights()[0] for model in (target, source))
        assert np.array_equal(ours, theirs) == (name != kept)


def test_what_does_not_fit_stops_the_stage_and_leaves_nothing(
    made: Callable[..., Path], loaded: reader.Loaded, tmp_path: Path
) -> None:
    from fcn.network import build, model_file  # after `keras_ready`

    network = loaded.table.backbones[KEY].network
    model_file.save(build.backbone("vgg16", network, 3), tmp_path / "mine/own.keras")
    with pytest.raises(ValueError, match=r"mine/own\.keras does not fit vgg16\n  conv1_1: "):
        made()
    assert not (tmp_path / "out.keras").exists()
    assert not (tmp_path / "metrics.json").exists()
