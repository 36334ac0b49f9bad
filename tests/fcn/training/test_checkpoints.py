import json
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from fcn.common import files
from fcn.settings import reader
from fcn.settings.common import Checkpoints, Intervals
from fcn.training import checkpoints
from tests.mounting import can_mount, mount
from tests.test_graph import CANNOT_CHANGE_RESULTS

ROOT = Path(__file__).parents[3]
EVERY = Checkpoints(steps=1)
DIGEST = "a" * 64
FACTS = {"total": 0.1 + 0.2, "epochs": [{"epoch": 1, "loss": 1 / 3}]}


def place(root: Path, digest: str = DIGEST) -> checkpoints.Place:
    return checkpoints.Place("toy-fcn", digest, EVERY, root)


def arrays(step: int) -> dict[str, np.ndarray]:
    return {
        "model-0000": np.full((2, 3), step / 3, np.float32),
        "model-0001": np.array([7, step], np.uint32),
        "optimizer-0000": np.array(step),
    }


def save(where: checkpoints.Place, *steps: int) -> None:
    for step in steps:
        where.save(step, FACTS, arrays(step))


def names(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "toy-fcn").glob("*/*"))


def test_what_is_kept_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    one = place(tmp_path)
    one.run = "run-7"
    save(one, 12)
    found = place(tmp_path).found
    assert found is not None
    assert found.step == 12
    assert found.facts == FACTS | {"run": "run-7"}
    assert place(tmp_path).run == "run-7"
    assert found.arrays.keys() == arrays(12).keys()
    for name, array in arrays(12).items():
        assert found.arrays[name].dtype == array.dtype
        assert found.arrays[name].tobytes() == array.tobytes()


def test_the_newest_two_are_kept_and_a_finished_training_leaves_none(tmp_path: Path) -> None:
    one = place(tmp_path)
    assert one.found is None
    save(one, 8, 9, 10, 11)
    assert names(tmp_path) == ["step-00000010", "step-00000011"]
    one.clear()
    assert list(tmp_path.iterdir()) == []


def edit(path: Path, **changed: object) -> None:
    meta = json.loads((path / checkpoints.META).read_text())
    (path / checkpoints.META).write_text(json.dumps(meta | changed))


def flip(path: Path) -> None:
    content = bytearray((path / checkpoints.STATE).read_bytes())
    content[len(content) // 2] ^= 1
    (path / checkpoints.STATE).write_bytes(bytes(content))


def truncate(path: Path) -> None:
    os.truncate(path / checkpoints.STATE, 100)


def pickled(path: Path) -> None:
    np.savez(path / checkpoints.STATE, model=np.array([object()]), allow_pickle=True)
    edit(path, sha256=files.sha256(path / checkpoints.STATE))


UNUSABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (truncate, "does not match its SHA-256"),
    "damaged": (flip, "does not match its SHA-256"),
    "empty": (lambda path: (path / checkpoints.STATE).write_bytes(b""), "SHA-256"),
    "without its state": (lambda path: (path / checkpoints.STATE).unlink(), "npz is missing"),
    "without its facts": (lambda path: (path / checkpoints.META).unlink(), "json is missing"),
    "of another version": (lambda path: edit(path, version=0), "version 0, allowed: 1"),
    "of another layout": (lambda path: edit(path, facts=3), "of another layout"),
    "from another setting": (lambda path: edit(path, digest="b" * 64), "other settings, data"),
    "not JSON": (lambda path: (path / checkpoints.META).write_text("{"), "Expecting"),
    "not text": (lambda path: (path / checkpoints.META).write_bytes(b"\xff"), "codec"),
    "a pickle": (pickled, "pickle"),
}


@pytest.mark.parametrize("how", UNUSABLE)
def test_one_that_cannot_be_used_is_named_and_the_one_before_is_taken(
    how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, said = UNUSABLE[how]
    one = place(tmp_path)
    save(one, 1, 2)
    spoil(one.folder / "step-00000002")
    found = place(tmp_path).found
    assert found is not None
    assert found.step == 1
    warning, goes_on = capsys.readouterr().err.splitlines()
    assert warning.startswith(f"warning: {one.folder / 'step-00000002'} cannot be used")
    assert said in warning
    assert goes_on == "toy-fcn: goes on from the checkpoint of step 1"
    save(place(tmp_path), 2)
    assert names(tmp_path) == ["step-00000001", "step-00000002"]


def test_without_a_usable_one_it_starts_afresh_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = place(tmp_path)
    save(one, 1, 2)
    for step in one.folder.iterdir():
        truncate(step)
    assert place(tmp_path).found is None
    assert capsys.readouterr().err.splitlines()[-1] == (
        "toy-fcn: no checkpoint can be used: starts afresh"
    )


def test_what_somebody_else_put_beside_old_checkpoints_stops_nothing(tmp_path: Path) -> None:
    old = place(tmp_path)
    (old.folder / "step-00000001.bak").mkdir()
    assert place(tmp_path, "b" * 64).found is None
    assert not old.folder.exists()


def test_another_setting_starts_afresh_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(place(tmp_path), 41, 42)
    other = place(tmp_path, "b" * 64)
    assert other.found is None
    assert capsys.readouterr().err == (
        "toy-fcn: settings, data or code changed since the checkpoint of step 42: starts afresh\n"
    )
    assert names(tmp_path) == []


# What a place finds after a training was killed at each moment of saving step 2.
KILLED = """
import json, sys
from pathlib import Path
from tests.fcn.training.test_checkpoints import names, place, save
from tests.killing import before_each_call
root = Path(sys.argv[1])
found, beside = [], []
def start():
    global one
    place(root).clear()
    one = place(root)
    save(one, 1)
for _ in before_each_call(start, lambda: save(one, 2)):
    found.append(place(root).found.step)
    beside.append(names(root))
print(json.dumps([found, beside]))
"""


def run(
    script: str, *arguments: object, before: Sequence[str] = (), limit: int | None = None
) -> subprocess.CompletedProcess[str]:
    def limited() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return subprocess.run(
        [*before, sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limited,
    )


def test_killed_at_any_moment_of_saving_it_finds_the_old_one_or_the_new_one(
    tmp_path: Path,
) -> None:
    done = run(KILLED, tmp_path)
    assert done.returncode == 0, done.stderr
    found, beside = json.loads(done.stdout)
    assert sorted(found) == found
    assert set(found) == {1, 2}
    both = ["step-00000001", "step-00000002"]
    assert all(left in (both[:1], both) for left in beside)


SAVE_MUCH = """
import sys
from pathlib import Path
import numpy as np
from fcn.common import messages
from tests.fcn.training.test_checkpoints import place
def save(root, size):
    one = place(Path(root))
    one.save(2, {}, {"model-0000": np.zeros(int(size))})
with messages.explaining():
    save(Path(sys.argv[1]), sys.argv[3])
"""


def test_a_checkpoint_that_does_not_fit_is_one_message_and_the_last_good_one_stays(
    tmp_path: Path,
) -> None:
    save(place(tmp_path), 1)
    done = run(SAVE_MUCH, tmp_path, "--size", 10**6, limit=50_000)
    assert done.returncode == 1
    (_, message) = done.stderr.splitlines()
    assert message.startswith(f"error: {tmp_path}/toy-fcn/{DIGEST[:16]}/step-00000002: the file is")
    assert names(tmp_path) == ["step-00000001"]
    found = place(tmp_path).found
    assert found is not None
    assert found.step == 1


@pytest.mark.skipif(not can_mount(), reason="may not mount a small disk here")
def test_a_full_disk_is_one_message_and_the_last_good_one_stays(tmp_path: Path) -> None:
    script = f'mount -t tmpfs -o size=1m none {tmp_path}; "$@" --size 1000; code=0; '
    script += f'"$@" --size 1000000 || code=$?; ls {tmp_path}/*/*; exit $code'
    done = run(SAVE_MUCH, tmp_path, before=mount(script, "sh"))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert "no space is left" in done.stderr
    assert done.stdout.split() == ["step-00000002"]  # the first, whole one


@pytest.mark.skipif(not can_mount(), reason="may not mount a read-only disk here")
def test_a_read_only_folder_is_said_before_anything_is_trained(tmp_path: Path) -> None:
    read_only = mount(f'mount -t tmpfs -o ro none {tmp_path}; "$@"', "sh")
    done = run(SAVE_MUCH, tmp_path, "--size", 10, before=read_only)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path}/toy-fcn")
    assert "read-only" in done.stderr


def rightless() -> list[str]:
    """What makes a command a common person's: root may read and write everything."""
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []


@pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root may read everything"
)
@pytest.mark.parametrize("what", ["", "step-00000001/state.npz"])
@pytest.mark.parametrize("mode", [0o000, 0o500])
def test_what_may_not_be_read_or_written_is_refused_and_stays(
    what: str, mode: int, tmp_path: Path
) -> None:
    one = place(tmp_path)
    save(one, 1)
    path = one.folder / what
    path.chmod(mode)
    done = run(SAVE_MUCH, tmp_path, "--size", 10, before=rightless())
    path.chmod(0o700)
    if what and mode == 0o500:  # whoever may read it may go on
        assert done.returncode == 0
    else:
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].startswith(f"error: {path}: permission denied")
        assert names(tmp_path) == ["step-00000001"]


def test_by_steps_one_is_due_after_every_so_many(tmp_path: Path) -> None:
    one = checkpoints.Place("toy-fcn", DIGEST, Checkpoints(steps=3), tmp_path)
    assert [step for step in range(1, 10) if one.due(step)] == [3, 6, 9]


def test_by_the_clock_one_is_due_when_the_time_is_over_and_not_too_much_goes_into_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now)
    one = checkpoints.Place("toy-fcn", DIGEST, Checkpoints(minutes=0.5), tmp_path)
    assert not one.due(1)
    now = 30.0
    assert one.due(2)
    one._seconds = 0.6  # what the last one took: 30 s would be 2 % of it
    assert not one.due(2)
    now = 60.0
    assert one.due(3)
    save(one, 3)
    assert not one.due(4)


@pytest.mark.usefixtures("seeded")
def test_the_digest_changes_with_what_can_change_the_result(loaded: reader.Loaded) -> None:
    common = loaded.common

    def digest(**changed: object) -> str:
        parts = {"settings": {"epochs": 3}, "records": "abc", "start": "def"} | changed
        return checkpoints.digest(common, **parts)

    first = digest()
    assert first == digest()
    others = {
        digest(settings={"epochs": 4}),
        digest(records="abd"),
        digest(start="deg"),
        checkpoints.digest(common.model_copy(update={"seed": 1})),
        checkpoints.digest(common.model_copy(update={"precision": "mixed_bfloat16"})),
    }
    assert len(others | {first}) == 6
    beside = common.model_copy(
        update={"checkpoints": EVERY, "intervals": Intervals(resamples=100, level=0.5)}
    )
    assert checkpoints.digest(beside) == checkpoints.digest(common)


def test_the_code_that_counts_is_all_that_can_change_a_result() -> None:
    same = {re.split(r"[/.]", path)[1] for path in CANNOT_CHANGE_RESULTS}
    assert set(checkpoints.BESIDE) <= same
    counted = dict(checkpoints._code())
    assert "fcn.datasets.shared.dataset" in counted or "fcn.records.record" in counted
    assert "fcn.settings.reader" not in counted
