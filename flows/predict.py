"""Answer for every picture that lies in a folder; each once, whatever is killed meanwhile.

    python -m flows.predict INBOX OUTBOX [--model models:/fcn-digits@champion]

    OUTBOX/done/photo.jpg/     the picture with its mask, overlay and shares
    OUTBOX/failed/photo.jpg/   the picture and reason.txt
    OUTBOX/claimed/RUN/        what a run is working on

A picture belongs to the run that moved it out of the inbox; a rename is whole or not at all, and
only one of two runs succeeds. A run holds a lock on its folder of claims, which the kernel frees
however the run ends: the next run takes over what lies in folders that nobody holds.
"""

import argparse
import fcntl
import itertools
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from fcn.common import files, messages
from fcn.settings import reader
from flows import temporary_server, tether

ROOT = Path(__file__).parents[1]
LOCK, REPORT, REASON = ".lock", ".report.json", "reason.txt"
AT_ONCE = 200
"""Pictures for one child, which takes ten seconds to import Keras."""
SETTLED = 2.0
"""Seconds for which a file must not have changed: younger ones may still be being written."""
SKIPPED = 3
"""What `python -m fcn predict` returns when some pictures were left out."""


@task(name="predict", task_run_name="{number} picture(s)", cache_policy=NO_CACHE)
def answer(number: int, claims: Path, model: str) -> State[Any]:
    """Answer for all that `claims` holds and move it on; Failed where the command could do nothing.

    Returns:
        Completed with how many were done and failed.
    """
    count = {"done": 0, "failed": 0}
    try:
        _answer(sorted(_pictures(claims)), claims, model, count)
    except RuntimeError as error:  # a returned state shows the message without our traceback
        return Failed(message=str(error))
    return Completed(message=_told(count), data=count)


@flow(name="predict")
def predict(inbox: str, outbox: str, model: str | None = None) -> State[None]:
    """Answer for every picture in the folder `inbox`.

    Args:
        inbox: where pictures are put, by copying or by renaming.
        outbox: where results and failures go; on the same disk.
        model: what `python -m fcn predict --model` takes; none: the one in use for the first
            active table, `models:/fcn-TABLE@champion`.

    Returns:
        Completed with the counts, also if pictures failed; Failed if the model could not be used,
        with the pictures back in the inbox.
    """
    into, out = Path(inbox), Path(outbox)
    used = model or f"models:/fcn-{reader.active(ROOT)[0]}@champion"
    total = {"done": 0, "failed": 0}
    try:
        _require_one_disk(into, out)
        with _claims(out) as claims:
            while number := _adopt(claims) + _claim(into, claims):
                state = answer(number, claims, used, return_state=True)
                if not state.is_completed():
                    _give_back(claims, into)
                    return Failed(message=state.message)
                counted: Any = state.result()
                total = {way: total[way] + counted[way] for way in total}
    except (ValueError, OSError) as error:
        return Failed(message=str(error))
    return Completed(message=_told(total))


def _told(count: Mapping[str, int]) -> str:
    return ", ".join(f"{way} {many}" for way, many in count.items())


def _require_one_disk(inbox: Path, outbox: Path) -> None:
    if not inbox.is_dir():
        raise ValueError(f"the inbox {inbox} is no folder; make it, or name another")
    files.require_writable(outbox)
    if inbox.stat().st_dev != outbox.stat().st_dev:
        raise ValueError(
            f"{inbox} and {outbox} lie on two disks, between which nothing can be renamed; name "
            "an outbox beside the inbox"
        )
    for name in ("done", "failed", "claimed"):
        (outbox / name).mkdir(exist_ok=True)


@contextmanager
def _claims(outbox: Path) -> Iterator[Path]:
    """Give a locked folder for this run's claims; it is removed when it is empty in the end."""
    name = uuid.uuid4().hex
    making = outbox / "claimed" / f".{name}"  # seen by nobody until it is locked
    making.mkdir()
    with (making / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        claims = making.rename(outbox / "claimed" / name)
        try:
            yield claims
        finally:
            _remove_empty(claims)


def _remove_empty(claims: Path) -> None:
    if not _pictures(claims):
        files.remove(claims)


def _pictures(claims: Path) -> list[Path]:
    """Return the claimed pictures: each lies in a folder of its own name."""
    return [folder / folder.name for folder in claims.iterdir() if (folder / folder.name).is_file()]


def _adopt(claims: Path) -> int:
    """Take over what runs that were killed had claimed; return how many pictures."""
    number = 0
    for other in sorted(claims.parent.glob("[!.]*")):
        if other == claims:
            continue
        try:
            with (other / LOCK).open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for picture in _pictures(other):
                    if not (claims / picture.name).exists():
                        picture.parent.rename(claims / picture.name)
                        number += 1
                _remove_empty(other)
        except (BlockingIOError, FileNotFoundError):
            continue  # somebody is working on it, or has just taken it over
    return number


def _claim(inbox: Path, claims: Path) -> int:
    """Move pictures out of the inbox; return how many. Waits for one that was just written."""
    number, young = 0, True
    while not number and young:
        young = False
        for picture in sorted(inbox.iterdir()):
            if number == AT_ONCE:
                break
            place = claims / picture.name
            try:
                if picture.name.startswith(".") or not picture.is_file() or place.exists():
                    continue
                if time.time() - picture.stat().st_mtime < SETTLED:
                    young = True
                    continue
                place.mkdir()
                picture.rename(place / picture.name)
                number += 1
            except FileNotFoundError:  # another run was faster
                if place.is_dir():
                    place.rmdir()
        if not number and young:
            time.sleep(SETTLED / 4)
    return number


def _give_back(claims: Path, inbox: Path) -> None:
    for picture in _pictures(claims):
        if not (inbox / picture.name).exists():
            picture.rename(inbox / picture.name)
            files.remove(picture.parent)


def _answer(pictures: Sequence[Path], claims: Path, model: str, count: dict[str, int]) -> None:
    """Answer for the pictures and move them on.

    A child that dies without a word may have died of one picture: then each is tried alone.
    """
    report = claims / REPORT
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "fcn", "predict", *map(str, pictures), "--beside"]
    child = tether.start(
        [*command, "--model", model, "--report", str(report)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert child.stdout is not None
    with child:
        try:
            said = [line.decode(errors="replace").rstrip() for line in child.stdout]
            code = child.wait()
        finally:
            child.terminate()
    if report.is_file():
        told = json.loads(report.read_text("utf-8"))
        for picture in pictures:
            _move_on(picture, told["skipped"].get(str(picture)), claims.parent.parent, count)
    elif code in (1, 2):
        raise RuntimeError("\n".join(said[-3:]))
    elif len(pictures) > 1:
        get_run_logger().warning("predict ended with code %s; trying pictures one by one", code)
        for picture in pictures:
            _answer([picture], claims, model, count)
    else:
        reason = "\n".join([f"the command ended with code {code}", *said[-5:]])
        _move_on(pictures[0], reason, claims.parent.parent, count)


def _move_on(picture: Path, reason: str | None, outbox: Path, count: dict[str, int]) -> None:
    """Move a picture's folder to its place, under another name if that is taken."""
    way = "failed" if reason else "done"
    if reason:
        (picture.parent / REASON).write_text(f"{reason}\n", "utf-8")
    for number in itertools.count(1):
        again = f"-{number}" if number > 1 else ""
        place = outbox / way / f"{picture.stem}{again}{picture.suffix}"
        try:
            picture.parent.rename(place)  # never onto a folder with something in it
        except OSError:
            if not place.exists():
                raise
        else:
            break
    count[way] += 1


def main(arguments: Sequence[str]) -> int:
    """Run the flow once; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m flows.predict",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("inbox")
    parser.add_argument("outbox")
    parser.add_argument("--model", help="as for `python -m fcn predict`")
    chosen = parser.parse_args(arguments)
    try:
        temporary_server.start_if_none()
        state = predict(chosen.inbox, chosen.outbox, chosen.model, return_state=True)
    except RuntimeError as error:
        messages.fail(str(error))
    except KeyboardInterrupt:
        print("cancelled; the next run goes on with what was claimed")
        return 130  # what a shell reports after Ctrl-C
    print(state.message)
    return 0 if state.is_completed() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
