"""The package as it is installed: what its wheel contains, and how it works away from a project."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fcn.common import files
from fcn.samples import shipped

ROOT = Path(__file__).parents[1]
PIPELINE = ("dvc", "filelock", "grain", "jinja2", "mlflow", "pandas", "pooch", "prefect", "sklearn")
HIDING = f"""
import sys
sys.modules.update(dict.fromkeys({PIPELINE!r}))
"""
"""Makes packages of the extra `pipeline` look as if they were not installed."""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without a network by the backend that uv contains."""
    pinned = sorted(map(str, ROOT.glob(".tools/uv-*/bin/uv")))
    uv = next((path for path in (os.environ.get("UV"), shutil.which("uv"), *pinned) if path), None)
    if uv is None:
        pytest.skip("no uv, which builds the wheel; `make setup` brings one")
    out = tmp_path_factory.mktemp("wheel")
    command = [uv, "build", "--wheel", "--offline", "--quiet", "--out-dir", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if "uv_build" in done.stderr and "offline" in done.stderr:
        pytest.skip("this uv is another than the Makefile's and has no backend for the wheel")
    assert done.returncode == 0, done.stderr
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of installed packages that holds the wheel's files alone."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    (folder / "sitecustomize.py").write_text(HIDING)
    return folder


def fcn(site: Path, *arguments: str | Path, **how: Any) -> subprocess.CompletedProcess[str]:
    """Run the installed command; `cwd` is where."""
    env = {name: text for name, text in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    return subprocess.run(
        [sys.executable, "-m", "fcn", *arguments],
        env=env | {"PYTHONPATH": str(site), "GIT_CEILING_DIRECTORIES": str(site)},
        capture_output=True,
        text=True,
        check=False,
        **how,
    )


def test_the_wheel_holds_the_package_with_its_data_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        (scripts,) = (name for name in names if name.endswith("entry_points.txt"))
        assert archive.read(scripts).decode().split() == (
            ["[console_scripts]", "fcn", "=", "fcn.__main__:main"]
        )
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "fcn"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.splitlines()
    if not listed:
        pytest.skip("no Git repository, which lists the package's files")
    package = {name for name in names if name.startswith("fcn/")}
    (folder,) = {name.partition("/")[0] for name in names - package}
    assert folder.endswith(".dist-info")
    if not listed:
        pytest.skip("no Git repository, which says which files the package has")
    assert package == {name for name in listed if (ROOT / name).is_file()}


def test_the_installed_command_predicts_in_an_empty_folder(
    site: Path, tmp_path: Path, keras_ready: None
) -> None:
    pictures = fcn(site, "samples", cwd=tmp_path).stdout.split()
    assert [Path(path).name for path in pictures] == [path.name for path in shipped.PICTURES]
    done = fcn(site, "predict", *pictures, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    sha256 = f"SHA-256 {files.sha256(shipped.model())[:12]}"
    assert f"model digits-fcn8s, shipped with fcn, {sha256}" in done.stderr.splitlines()
    assert {path.name for path in tmp_path.iterdir()} == {"predictions"}

    from fcn.network import model_file

    network = model_file.load(shipped.model())
    for path in shipped.PICTURES:
        image = np.asarray(Image.open(path))[None, ..., None]
        mask = np.asarray(Image.open(tmp_path / "predictions" / f"{path.stem}-mask.png"))
        np.testing.assert_array_equal(mask, network.predict_on_batch(image)[0].argmax(axis=-1))


@pytest.mark.parametrize(
    "arguments", [("tables",), ("verdict",), ("explain", "digits", "digits-fcn8s", "miou")]
)
def test_a_command_on_tables_says_that_it_needs_a_project(
    arguments: tuple[str, ...], site: Path, tmp_path: Path
) -> None:
    done = fcn(site, *arguments, cwd=tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {arguments[0]} needs a project, but neither {tmp_path} nor")


def test_a_row_of_a_table_needs_a_project(site: Path, tmp_path: Path) -> None:
    picture = str(shipped.PICTURES[0])
    done = fcn(site, "predict", picture, "--model", "camvid-fcn8s", cwd=tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: no model 'camvid-fcn8s' (a row of a table needs a project, but")
    assert "allowed: a file (.keras, .onnx)" in line


def test_a_copy_of_the_project_runs_its_own_code(tmp_path: Path, site: Path) -> None:
    shutil.copytree(ROOT / "fcn", tmp_path / "fcn", ignore=shutil.ignore_patterns("__pycache__"))
    shown = fcn(site, "--version", cwd=tmp_path).stdout.splitlines()
    assert shown[0].endswith(f", in {tmp_path}")
