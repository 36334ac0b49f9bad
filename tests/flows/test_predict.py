"""The inbox: each picture once, whatever is killed and however many look into it at once."""

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows import predict

ROOT = Path(__file__).parents[2]
OLD = time.time() - 60
HOLDS = """
import sys, time
from pathlib import Path
from flows import predict
with predict._claims(Path(sys.argv[2])) as claims:
    print(predict._claim(Path(sys.argv[1]), claims), flush=True)
    time.sleep(1000)
"""
TALKS = """
import json, sys
from pathlib import Path
pictures = [Path(name) for name in sys.argv[2:sys.argv.index("--beside")]]
if any(one.name == "poison.png" for one in pictures):
    sys.exit(137)
if any(one.name == "nomodel.png" for one in pictures):
    sys.exit("error: no model 'x'")
skipped = {str(one): "no picture" for one in pictures if one.suffix == ".txt"}
for one in pictures:
    (one.parent / f"{one.stem}-mask.png").touch()
report = sys.argv[sys.argv.index("--report") + 1]
Path(report).write_text(json.dumps({"done": [], "skipped": skipped}))
"""


@pytest.fixture
def boxes(tmp_path: Path) -> tuple[Path, Path]:
    """An inbox and an outbox."""
    inbox, outbox = tmp_path / "in", tmp_path / "out"
    inbox.mkdir()
    predict._require_one_disk(inbox, outbox)
    return inbox, outbox


def put(inbox: Path, *names: str) -> None:
    for name in names:
        (inbox / name).write_text(name)
        os.utime(inbox / name, (OLD, OLD))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command of half a second in place of `python -m fcn predict`, which takes ten."""
    (tmp_path / "elsewhere" / "fcn").mkdir(parents=True)
    (tmp_path / "elsewhere" / "fcn" / "__main__.py").write_text(TALKS)
    monkeypatch.setattr(predict, "ROOT", tmp_path / "elsewhere")
    monkeypatch.setattr(predict, "get_run_logger", logging.getLogger)


def work(outbox: Path, inbox: Path) -> dict[str, int]:
    count = {"done": 0, "failed": 0}
    with predict._claims(outbox) as claims:
        while predict._adopt(claims) + predict._claim(inbox, claims):
            predict._answer(sorted(predict._pictures(claims)), claims, "model", count)
    return count


def test_each_picture_ends_with_its_results_or_its_reason(
    boxes: tuple[Path, Path], child: None
) -> None:
    inbox, outbox = boxes
    put(inbox, "a.png", "a.txt", "poison.png", ".hidden.png")
    assert work(outbox, inbox) == {"done": 1, "failed": 2}
    assert names(outbox / "done" / "a.png") == ["a-mask.png", "a.png"]
    assert (outbox / "failed" / "a.txt" / "reason.txt").read_text() == "no picture\n"
    reason = (outbox / "failed" / "poison.png" / "reason.txt").read_text()
    assert reason.startswith("the command ended with code 137")
    assert names(inbox) == [".hidden.png"]
    assert names(outbox / "claimed") == []


def test_a_name_that_comes_again_replaces_nothing(boxes: tuple[Path, Path], child: None) -> None:
    inbox, outbox = boxes
    for _ in range(3):
        put(inbox, "a.png")
        work(outbox, inbox)
    assert names(outbox / "done") == ["a-2.png", "a-3.png", "a.png"]


def test_a_command_that_can_do_nothing_leaves_the_pictures_to_the_next_run(
    boxes: tuple[Path, Path], child: None
) -> None:
    inbox, outbox = boxes
    put(inbox, "a.png", "nomodel.png")
    with predict._claims(outbox) as claims:
        predict._claim(inbox, claims)
        with pytest.raises(RuntimeError, match="no model 'x'"):
            predict._answer(sorted(predict._pictures(claims)), claims, "model", {})
        predict._give_back(claims, inbox)
    assert names(inbox) == ["a.png", "nomodel.png"]
    assert names(outbox / "claimed") == []


def test_two_runs_never_hold_the_same_picture(boxes: tuple[Path, Path]) -> None:
    inbox, outbox = boxes
    put(inbox, *(f"{number}.png" for number in range(predict.AT_ONCE + 5)))
    with predict._claims(outbox) as one, predict._claims(outbox) as other:
        assert predict._claim(inbox, one) == predict.AT_ONCE
        assert predict._claim(inbox, other) == 5
        assert predict._adopt(other) == predict._adopt(one) == 0
        held = [path.name for claims in (one, other) for path in predict._pictures(claims)]
        assert len(set(held)) == len(held) == predict.AT_ONCE + 5


def test_what_a_killed_run_held_is_taken_over_and_what_a_living_one_holds_is_not(
    boxes: tuple[Path, Path],
) -> None:
    inbox, outbox = boxes
    put(inbox, "a.png", "b.png")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(inbox), str(outbox)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    with holder.stdout as said, predict._claims(outbox) as claims:
        assert said.readline() == "2\n"
        assert predict._adopt(claims) == 0
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert predict._adopt(claims) == 2
        assert sorted(path.name for path in predict._pictures(claims)) == ["a.png", "b.png"]
        assert names(outbox / "claimed") == [claims.name]


def test_a_picture_that_is_still_being_written_is_waited_for(boxes: tuple[Path, Path]) -> None:
    inbox, outbox = boxes
    (inbox / "new.png").touch()
    begin = (inbox / "new.png").stat().st_mtime
    with predict._claims(outbox) as claims:
        assert predict._claim(inbox, claims) == 1
    assert time.time() - begin >= predict.SETTLED


def test_an_inbox_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no folder"):
        predict._require_one_disk(tmp_path / "in", tmp_path / "out")
