import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from fcn.common import files
from fcn.datasets.shared import catalogue
from fcn.network import build, model_file
from fcn.prediction import named_model
from fcn.records.labels import Labels
from fcn.samples import shipped
from fcn.settings.network import Network
from fcn.tracking import connection, runs
from tests.shipped import SHIPPED

pytestmark = pytest.mark.usefixtures("seeded")
LABELS = Labels("toy", ("sky", "sea"), ((1, 2, 3), (4, 5, 6)), 1)


@pytest.fixture(scope="session")
def model(tiny: Network, keras_ready: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.keras"
    model_file.save(build.network("fcn32s", "vgg16", tiny, 1, 2), path, asdict(LABELS))
    return path


@pytest.fixture
def no_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No MLflow store exists."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(connection, "ROOT", tmp_path)


def changed(model: Path, out: Path, labels: bytes | None) -> Path:
    """The same model with other labels, or none."""
    with zipfile.ZipFile(model) as old, zipfile.ZipFile(out, "w") as new:
        for name in set(old.namelist()) - {"labels.json"}:
            new.writestr(name, old.read(name))
        if labels is not None:
            new.writestr("labels.json", labels)
    return out


def test_a_models_file_carries_its_classes(model: Path, no_store: None) -> None:
    with named_model.find(str(model)) as named:
        assert named.labels == LABELS
        assert named.labels_of(1, 2) == LABELS
        assert named.provenance["Model SHA-256"] == files.sha256(model)
        assert named.provenance["Model"] == str(model)
        assert "MLflow run" not in named.provenance
        assert str(named) == f"{model}, SHA-256 {files.sha256(model)[:12]}"
    assert not list(connection.ROOT.glob("mlflow.db"))


def test_labels_do_not_change_the_network_and_saves_are_equal_bytes(
    model: Path, tmp_path: Path
) -> None:
    opened = model_file.load(model)
    model_file.save(opened, tmp_path / "again.keras", asdict(LABELS))
    assert (tmp_path / "again.keras").read_bytes() == model.read_bytes()
    model_file.save(opened, tmp_path / "bare.keras")
    with zipfile.ZipFile(tmp_path / "bare.keras") as bare, zipfile.ZipFile(model) as labelled:
        assert {name: bare.read(name) for name in bare.namelist()} == {
            name: labelled.read(name) for name in bare.namelist()
        }


def test_an_older_file_named_as_a_row_has_the_classes_of_its_data_set(
    model: Path, no_store: None, tmp_path: Path
) -> None:
    path = changed(model, tmp_path / "digits-fcn8s.keras", None)
    with named_model.find(str(path)) as named:
        assert named.labels is not None
        assert named.labels.classes == catalogue.load("digits").classes
        with pytest.raises(
            ValueError,
            match=r"has 1 channel\(s\) and 2 classes, but its labels \(digits\) have 1 and 11",
        ):
            named.labels_of(1, 2)


def test_a_file_without_labels_gets_numbers_and_a_warning(
    model: Path, no_store: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with named_model.find(str(changed(model, tmp_path / "own.keras", None))) as named:
        assert named.labels is None
        assert named.labels_of(3, 2).classes == ("0", "1")
    assert "does not name its classes" in capsys.readouterr().err


NO_COLOUR = json.dumps(asdict(LABELS) | {"colours": [[1, 2, 300], [1, 2, 3]]}).encode()


@pytest.mark.parametrize("labels", [b"", b"[]", b'{"classes": ["a"], "colours": []}', NO_COLOUR])
def test_invalid_labels_are_refused(
    labels: bytes, model: Path, no_store: None, tmp_path: Path
) -> None:
    path = changed(model, tmp_path / "own.keras", labels)
    with (
        pytest.raises(ValueError, match=r"own\.keras is no model, or damaged"),
        named_model.find(str(path)),
    ):
        pass


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.keras", r"nowhere\.keras is missing"),
        ("digits-fcn9s", r"did you mean 'digits-fcn8s'"),
        ("paintings-fcn8s", r"no table file"),
        ("digits-fcn16s", r"data/models/digits-fcn16s\.keras is missing; .*`dvc repro` makes it"),
    ],
)
def test_an_unknown_name_is_refused_with_what_is_allowed(
    name: str, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(named_model, "MODELS", tmp_path / "data/models")
    with pytest.raises(ValueError, match=message) as caught, named_model.find(name):
        pass
    assert "models:/NAME@ALIAS" in str(caught.value)


@pytest.mark.parametrize("name", ["modle.keras", "Model.keras"])
def test_a_missing_file_is_answered_with_the_nearest(name: str, tmp_path: Path) -> None:
    (tmp_path / "model.keras").touch()
    with (
        pytest.raises(ValueError, match=rf"{name} is missing; .*did you mean '.*/model\.keras'"),
        named_model.find(str(tmp_path / name)),
    ):
        pass


@pytest.mark.parametrize("name", [None, shipped.MODEL])
def test_before_the_default_model_is_trained_the_one_that_ships_is_used(
    name: str | None, no_store: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(named_model, "MODELS", tmp_path)
    with named_model.find(name) as named:
        assert named.path == shipped.model()
        assert named.labels is not None
        assert named.labels.classes == catalogue.load("digits").classes
        sha256 = files.sha256(named.path)[:12]
        assert str(named) == f"digits-fcn8s, shipped with fcn, SHA-256 {sha256}"


def test_outside_a_project_a_file_needs_none_and_the_default_is_the_model_that_ships(
    model: Path, no_store: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with named_model.find(None) as named:
        assert named.path == shipped.model()
    with named_model.find(str(model)) as named:
        assert named.labels == LABELS
        assert str(named) == f"{model}, SHA-256 {files.sha256(model)[:12]}"
    with (
        pytest.raises(ValueError, match=r"a row of a table needs a project, but neither"),
        named_model.find("digits-fcn16s"),
    ):
        pass


def test_in_a_folder_of_a_project_a_row_is_the_projects(
    model: Path, no_store: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("params.yaml", "dvc.yaml", "tables"):
        (tmp_path / name).symlink_to(SHIPPED / name)
    for name in ("photos", "data/models"):
        (tmp_path / name).mkdir(parents=True)
    path = tmp_path / "data/models/digits-fcn8s.keras"
    shutil.copy(model, path)
    monkeypatch.chdir(tmp_path / "photos")
    with named_model.find(None) as named:
        assert named.path == path
        assert str(named) == f"digits-fcn8s, {path}, SHA-256 {files.sha256(model)[:12]}"


def test_a_registered_model_needs_a_store_and_makes_none(no_store: None) -> None:
    with (
        pytest.raises(ValueError, match=r"models:/a@champion needs MLflow's store, but there is"),
        named_model.find("models:/a@champion"),
    ):
        pass
    assert not list(connection.ROOT.glob("mlflow.db"))


def test_a_file_that_is_no_model_is_refused(tmp_path: Path, no_store: None) -> None:
    (tmp_path / "a.keras").write_text("weights")
    with (
        pytest.raises(ValueError, match="is no model, or damaged"),
        named_model.find(str(tmp_path / "a.keras")),
    ):
        pass


def test_the_default_is_the_last_row_of_the_first_table(
    model: Path, no_store: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(named_model, "MODELS", tmp_path)
    shutil.copy(model, tmp_path / "digits-fcn8s.keras")
    with named_model.find(None) as named:
        assert named.name == "digits-fcn8s"
        assert str(named).startswith(f"digits-fcn8s, {tmp_path / 'digits-fcn8s.keras'}, SHA-256 ")


def test_a_model_is_opened_by_its_alias_with_its_run(
    model: Path, mlflow: Any, new_store: Callable[..., Any]
) -> None:
    with runs.open_run("train", "toy-fcn32s", "toy", {}) as run:
        run.log_model(model, 1, "tensorflow")
        made = run.id
    (logged,) = mlflow.get_run(made).outputs.model_outputs
    mlflow.register_model(f"models:/{logged.model_id}", "fcn-toy")
    with (
        pytest.raises(ValueError, match=r"fcn-toy@champion is not in MLflow's registry"),
        named_model.find("models:/fcn-toy@champion"),
    ):
        pass
    for name, near in (
        ("models:/fcn-toi@champion", "fcn-toy"),
        ("models:/fcn-toy/2", "models:/fcn-toy/1"),
        ("models:/fcn-toy", "models:/fcn-toy/1"),
    ):
        with (
            pytest.raises(ValueError, match=rf"did you mean '{near}'\?"),
            named_model.find(name),
        ):
            pass
    mlflow.MlflowClient().set_registered_model_alias("fcn-toy", "champion", 1)
    with named_model.find("models:/fcn-toy@champion") as named:
        path = named.path
        assert named.labels == LABELS
        assert named.provenance["MLflow run"] == made
        assert named.provenance["Model"] == "models:/fcn-toy@champion"
        assert str(named).startswith("models:/fcn-toy@champion, models:/fcn-toy/1, SHA-256 ")
        assert path.read_bytes() == model.read_bytes()
    assert not path.exists()
    with named_model.find(str(model)) as named:
        assert named.provenance["MLflow run"] == made
    with named_model.find(str(model), tracking=False) as named:
        assert "MLflow run" not in named.provenance
