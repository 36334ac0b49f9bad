"""Settings of one run: a typo is refused before anything is copied or run."""

import shutil
from pathlib import Path

import pytest

from flows.pipeline import overrides

ROOT = Path(__file__).parents[3]
FILE = "tables/digits.yaml"
TRAINING = "models.digits-fcn8s.training"


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The project's settings in the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("tables").mkdir()
    for name in ("dvc.yaml", "params.yaml", FILE):
        shutil.copy(ROOT / name, name)


def test_right_settings_are_accepted_and_change_no_file() -> None:
    overrides.require_valid([f"{FILE}:{TRAINING}.epochs=3", "seed=7"])
    assert Path(FILE).read_bytes() == (ROOT / FILE).read_bytes()
    assert Path("params.yaml").read_bytes() == (ROOT / "params.yaml").read_bytes()


def test_settings_are_written_below_a_folder(tmp_path: Path) -> None:
    overrides.apply([f"{FILE}:{TRAINING}.epochs=33", "seed=7"], tmp_path)
    assert "epochs: 33" in Path(FILE).read_text("utf-8")
    assert "seed: 7\n" in Path("params.yaml").read_text("utf-8")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (f"{FILE}:{TRAINING}.epoch=3", f"did you mean '{TRAINING}.epochs'"),
        (f"{FILE}:modles.digits-fcn8s.head=fcn8s", "did you mean 'models.digits-fcn8s.head'"),
        ("sede=3", "did you mean 'seed'"),
        ("tables/digts.yaml:seed=3", f"did you mean '{FILE}'"),
        ("zzz=3", "Could not override 'zzz'"),
        ("seed", "FILE:KEY=VALUE"),
        (f"{FILE}:{TRAINING}.epochs=-3", f"{TRAINING}.epochs: got -3, allowed: greater than 0"),
        (f"{FILE}:models.digits-fcn8s.head=fcn9s", "did you mean 'fcn8s'"),
        ("seed=-1", "seed: got -1"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_is_allowed(setting: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"settings for this run|wrong setting") as refused:
        overrides.require_valid([setting])
    assert message in str(refused.value)
