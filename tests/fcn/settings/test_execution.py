from pathlib import Path

import pytest

from fcn.settings import execution, reader
from tests.shipped import SHIPPED


def test_in_a_project_its_settings_say_how_a_network_runs(
    loaded: reader.Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(SHIPPED / "tables")
    assert execution.compute() == loaded.common


@pytest.mark.parametrize("installed", [("tensorflow", "jax"), ("tensorflow",), ("jax",)])
def test_elsewhere_it_runs_on_the_installed_backend(
    installed: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(execution, "find_spec", lambda name: name in installed)
    assert execution.compute().backend == installed[0]


def test_without_a_backend_the_message_says_how_to_install_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(execution, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"neither TensorFlow nor JAX.*uv tool install"):
        execution.compute()
