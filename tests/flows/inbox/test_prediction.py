"""Predicting claimed pictures, with a toy in place of `python -m fcn predict`."""

import logging
import os
import time
from pathlib import Path

import pytest

from flows.inbox import claims, prediction

LOG = logging.getLogger(__name__)
COMMAND = """
import json, sys
from pathlib import Path
pictures = [Path(name) for name in sys.argv[2:sys.argv.index("--beside")]]
if any(picture.name == "crash.png" for picture in pictures):
    sys.exit(137)
if any(picture.name == "nomodel.png" for picture in pictures):
    sys.exit("error: no model 'x'")
skipped = {str(picture): "no picture" for picture in pictures if picture.suffix == ".txt"}
for picture in pictures:
    (picture.parent / f"{picture.stem}-mask.png").touch()
report = sys.argv[sys.argv.index("--report") + 1]
content = {"model": "toy.keras, SHA-256 0123456789ab", "done": {}, "skipped": skipped}
Path(report).write_text(json.dumps(content))
"""


@pytest.fixture
def boxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """An inbox and an outbox, and the toy command, which does not import Keras."""
    (tmp_path / "project" / "fcn").mkdir(parents=True)
    # A package, which comes before the installed one; a folder without this file would not.
    (tmp_path / "project" / "fcn" / "__init__.py").touch()
    (tmp_path / "project" / "fcn" / "__main__.py").write_text(COMMAND)
    monkeypatch.setattr(prediction, "ROOT", tmp_path / "project")
    inbox, outbox = tmp_path / "in", tmp_path / "out"
    inbox.mkdir()
    claims.prepare(inbox, outbox)
    return inbox, outbox


def put(inbox: Path, *names: str) -> None:
    minute_ago = time.time() - 60
    for name in names:
        (inbox / name).write_text(name)
        os.utime(inbox / name, (minute_ago, minute_ago))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def predict_all(inbox: Path, outbox: Path) -> dict[str, int]:
    counts = prediction.Counts()
    with claims.folder(outbox) as folder:
        while claims.adopt(folder) + claims.claim(inbox, folder):
            counts += prediction.predict(claims.pictures(folder), folder, "model", LOG)
    return counts


def test_the_log_names_the_model_that_predicted(
    boxes: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    put(boxes[0], "a.png")
    with caplog.at_level(logging.INFO, LOG.name):
        predict_all(*boxes)
    assert caplog.messages == ["model toy.keras, SHA-256 0123456789ab"]


def test_each_picture_ends_with_its_results_or_a_reason(boxes: tuple[Path, Path]) -> None:
    inbox, outbox = boxes
    put(inbox, "a.png", "a.txt", "crash.png", ".hidden.png")
    assert predict_all(inbox, outbox) == {"done": 1, "failed": 2}
    assert names(outbox / "done" / "a.png") == ["a-mask.png", "a.png"]
    assert (outbox / "failed" / "a.txt" / "reason.txt").read_text() == "no picture\n"
    reason = (outbox / "failed" / "crash.png" / "reason.txt").read_text()
    assert reason.startswith("the command ended with exit code 137")
    assert names(inbox) == [".hidden.png"]
    assert names(outbox / "claimed") == []


def test_a_name_that_is_used_again_replaces_nothing(boxes: tuple[Path, Path]) -> None:
    inbox, outbox = boxes
    for _ in range(3):
        put(inbox, "a.png")
        predict_all(inbox, outbox)
    assert names(outbox / "done") == ["a-2.png", "a-3.png", "a.png"]


def test_a_command_that_cannot_start_its_work_leaves_the_pictures_claimed(
    boxes: tuple[Path, Path],
) -> None:
    inbox, outbox = boxes
    put(inbox, "a.png", "nomodel.png")
    with claims.folder(outbox) as folder:
        claims.claim(inbox, folder)
        with pytest.raises(RuntimeError, match="no model 'x'"):
            prediction.predict(claims.pictures(folder), folder, "model", LOG)
        assert [path.name for path in claims.pictures(folder)] == ["a.png", "nomodel.png"]
        claims.give_back(folder, inbox)
    assert names(inbox) == ["a.png", "nomodel.png"]
