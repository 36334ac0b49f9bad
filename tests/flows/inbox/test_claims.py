"""Claims of pictures: each picture once, with several runs and after kills."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows.inbox import claims

ROOT = Path(__file__).parents[3]
HOLD = """
import sys, time
from pathlib import Path
from flows.inbox import claims
with claims.folder(Path(sys.argv[2])) as folder:
    print(claims.claim(Path(sys.argv[1]), folder), flush=True)
    time.sleep(3600)
"""


@pytest.fixture
def boxes(tmp_path: Path) -> tuple[Path, Path]:
    """An inbox and an outbox."""
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


def test_two_runs_never_claim_the_same_picture(boxes: tuple[Path, Path]) -> None:
    inbox, outbox = boxes
    put(inbox, *(f"{number}.png" for number in range(claims.BATCH + 5)))
    with claims.folder(outbox) as first, claims.folder(outbox) as second:
        assert claims.claim(inbox, first) == claims.BATCH
        assert claims.claim(inbox, second) == 5
        assert claims.adopt(second) == claims.adopt(first) == 0
        claimed = [path.name for run in (first, second) for path in claims.pictures(run)]
        assert len(set(claimed)) == len(claimed) == claims.BATCH + 5


def test_claims_of_a_killed_run_are_adopted_and_those_of_a_running_one_are_not(
    boxes: tuple[Path, Path],
) -> None:
    inbox, outbox = boxes
    put(inbox, "a.png", "b.png")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(inbox), str(outbox)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    with holder.stdout as output, claims.folder(outbox) as folder:
        assert output.readline() == "2\n"
        assert claims.adopt(folder) == 0
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert claims.adopt(folder) == 2
        assert [path.name for path in claims.pictures(folder)] == ["a.png", "b.png"]
        assert names(outbox / "claimed") == [folder.name]


def test_claims_that_are_given_back_leave_nothing(boxes: tuple[Path, Path]) -> None:
    inbox, outbox = boxes
    put(inbox, "a.png", "b.png")
    with claims.folder(outbox) as folder:
        claims.claim(inbox, folder)
        assert names(inbox) == []
        claims.give_back(folder, inbox)
    assert names(inbox) == ["a.png", "b.png"]
    assert names(outbox / "claimed") == []


def test_a_picture_that_is_still_written_is_not_claimed_yet(boxes: tuple[Path, Path]) -> None:
    inbox, outbox = boxes
    (inbox / "new.png").touch()
    written = (inbox / "new.png").stat().st_mtime
    with claims.folder(outbox) as folder:
        assert claims.claim(inbox, folder) == 1
    assert time.time() - written >= claims.SETTLED_SECONDS


def test_a_missing_inbox_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a folder"):
        claims.prepare(tmp_path / "in", tmp_path / "out")
