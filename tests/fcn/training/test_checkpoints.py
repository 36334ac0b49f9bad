import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from fcn.code import imports
from fcn.common import files
from fcn.runtime import machine
from fcn.settings import reader
from fcn.settings.common import Checkpoints, Compute
from fcn.training import checkpoints
from tests.mounting import can_mount, mount

ROOT = Path(__file__).parents[3]
EVERY_STEP = Checkpoints(steps=1)
DIGEST = "a" * 64
METADATA = {"loss_sum": 0.1 + 0.2, "epochs": [{"epoch": 1, "loss": 1 / 3}]}


def open_store(root: Path, digest: str = DIGEST) -> checkpoints.CheckpointStore:
    return checkpoints.CheckpointStore("toy-fcn", digest, EVERY_STEP, root)


def arrays(step: int) -> dict[str, np.ndarray]:
    return {
        "model-0000": np.full((2, 3), step / 3, np.float32),
        "model-0001": np.array([7, step], np.uint32),
        "optimizer-0000": np.array(step),
    }


def save(store: checkpoints.CheckpointStore, *steps: int) -> None:
    for step in steps:
        store.save(step, METADATA, arrays(step))


def names(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "toy-fcn").glob("*/*"))


def test_a_checkpoint_is_read_back_bit_for_bit(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.run_id = "run-7"
    save(store, 12)
    checkpoint = open_store(tmp_path).latest
    assert checkpoint is not None
    assert checkpoint.step == 12
    run = {"run_id": "run-7", "machines": [machine.describe_rounding()]}
    assert checkpoint.metadata == METADATA | run
    assert open_store(tmp_path).run_id == "run-7"
    assert checkpoint.arrays.keys() == arrays(12).keys()
    for name, array in arrays(12).items():
        assert checkpoint.arrays[name].dtype == array.dtype
        assert checkpoint.arrays[name].tobytes() == array.tobytes()


def test_the_newest_two_are_kept_and_clear_removes_all(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert store.latest is None
    save(store, 8, 9, 10, 11)
    assert names(tmp_path) == ["step-00000010", "step-00000011"]
    store.clear()
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
    "without its metadata": (lambda path: (path / checkpoints.META).unlink(), "json is missing"),
    "of another version": (lambda path: edit(path, version=0), "version 0, allowed: 1"),
    "of another layout": (lambda path: edit(path, metadata=3), "has another layout"),
    "from another setting": (lambda path: edit(path, digest="b" * 64), "other settings, data"),
    "not JSON": (lambda path: (path / checkpoints.META).write_text("{"), "Expecting"),
    "not text": (lambda path: (path / checkpoints.META).write_bytes(b"\xff"), "codec"),
    "a pickle": (pickled, "pickle"),
}


@pytest.mark.parametrize("how", UNUSABLE)
def test_an_unusable_checkpoint_is_named_and_the_one_before_it_is_used(
    how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage, reason = UNUSABLE[how]
    store = open_store(tmp_path)
    save(store, 1, 2)
    damage(store.folder / "step-00000002")
    checkpoint = open_store(tmp_path).latest
    assert checkpoint is not None
    assert checkpoint.step == 1
    warning, resumes = capsys.readouterr().err.splitlines()
    assert warning.startswith(f"warning: {store.folder / 'step-00000002'} cannot be used")
    assert reason in warning
    assert resumes == "toy-fcn: resumes from the checkpoint at step 1"
    save(open_store(tmp_path), 2)
    assert names(tmp_path) == ["step-00000001", "step-00000002"]


def test_without_a_usable_checkpoint_training_starts_from_step_0_with_a_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = open_store(tmp_path)
    save(store, 1, 2)
    for step in store.folder.iterdir():
        truncate(step)
    assert open_store(tmp_path).latest is None
    assert capsys.readouterr().err.splitlines()[-1] == (
        "toy-fcn: no checkpoint can be used; starts from step 0"
    )


def test_foreign_files_beside_outdated_checkpoints_are_removed_without_an_error(
    tmp_path: Path,
) -> None:
    old = open_store(tmp_path)
    (old.folder / "step-00000001.bak").mkdir()
    assert open_store(tmp_path, "b" * 64).latest is None
    assert not old.folder.exists()


def test_another_digest_starts_from_step_0_with_a_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(open_store(tmp_path), 41, 42)
    other = open_store(tmp_path, "b" * 64)
    assert other.latest is None
    assert capsys.readouterr().err == (
        "toy-fcn: settings, data or code changed since the checkpoint at step 42; "
        "starts from step 0\n"
    )
    assert names(tmp_path) == []


def test_a_training_that_resumes_with_other_threads_says_so_at_every_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    resumes = "toy-fcn: resumes from the checkpoint at step {}"
    warning = (
        "warning: toy-fcn: trained on 2 machines (threads: 2, then 4); the bits of its weights "
        "may be those of none of them"
    )
    messages = []
    for step, threads in enumerate(("2", "2", "4", "4", "2"), start=1):
        monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", threads)
        save(open_store(tmp_path), step)
        messages.append(capsys.readouterr().err.splitlines())
    assert messages == [
        [],
        [resumes.format(1)],
        *([resumes.format(step), warning] for step in (2, 3, 4)),
    ]


# What a store finds after a training was killed at each call while it saves step 2.
KILLED = """
import json, shutil, sys
from pathlib import Path
from tests.fcn.training.test_checkpoints import names, open_store, save
from tests.killing import before_each_call
root, first = Path(sys.argv[1], "root"), Path(sys.argv[1], "first")
store = open_store(root)
save(store, 1)
shutil.copytree(root, first)
steps, folders = [], []
def start():
    shutil.rmtree(root)
    shutil.copytree(first, root)
for _ in before_each_call(start, lambda: save(store, 2)):  # in a child: here `store` stays as it is
    steps.append(open_store(root).latest.step)
    folders.append(names(root))
print(json.dumps([steps, folders]))
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


def test_killed_at_any_moment_of_saving_the_old_or_the_new_checkpoint_is_found(
    tmp_path: Path,
) -> None:
    done = run(KILLED, tmp_path)
    assert done.returncode == 0, done.stderr
    steps, folders = json.loads(done.stdout)
    assert sorted(steps) == steps
    assert set(steps) == {1, 2}
    both = ["step-00000001", "step-00000002"]
    assert all(folder in (both[:1], both) for folder in folders)


SAVE_MUCH = """
import sys
from pathlib import Path
import numpy as np
from fcn.common import messages
from tests.fcn.training.test_checkpoints import open_store
def save(root, size):
    store = open_store(Path(root))
    store.save(2, {}, {"model-0000": np.zeros(int(size))})
with messages.explaining():
    save(Path(sys.argv[1]), sys.argv[3])
"""


def test_a_checkpoint_above_the_file_size_limit_is_one_message_and_the_last_good_one_stays(
    tmp_path: Path,
) -> None:
    save(open_store(tmp_path), 1)
    done = run(SAVE_MUCH, tmp_path, "--size", 10**6, limit=50_000)
    assert done.returncode == 1
    (_, message) = done.stderr.splitlines()
    assert message.startswith(f"error: {tmp_path}/toy-fcn/{DIGEST[:16]}/step-00000002: the file is")
    assert names(tmp_path) == ["step-00000001"]
    checkpoint = open_store(tmp_path).latest
    assert checkpoint is not None
    assert checkpoint.step == 1


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
def test_a_read_only_folder_is_refused_before_training(tmp_path: Path) -> None:
    read_only = mount(f'mount -t tmpfs -o ro none {tmp_path}; "$@"', "sh")
    done = run(SAVE_MUCH, tmp_path, "--size", 10, before=read_only)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path}/toy-fcn")
    assert "read-only" in done.stderr


def rightless() -> list[str]:
    """The prefix that drops root's right to read and write everything."""
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []


@pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root may read everything"
)
@pytest.mark.parametrize("what", ["", "step-00000001/state.npz"])
@pytest.mark.parametrize("mode", [0o000, 0o500])
def test_a_path_without_permission_is_refused_and_kept(
    what: str, mode: int, tmp_path: Path
) -> None:
    store = open_store(tmp_path)
    save(store, 1)
    path = store.folder / what
    path.chmod(mode)
    done = run(SAVE_MUCH, tmp_path, "--size", 10, before=rightless())
    path.chmod(0o700)
    if what and mode == 0o500:  # reading suffices
        assert done.returncode == 0
    else:
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].startswith(f"error: {path}: permission denied")
        assert names(tmp_path) == ["step-00000001"]


def test_by_steps_a_checkpoint_is_due_after_every_n_steps(tmp_path: Path) -> None:
    store = checkpoints.CheckpointStore("toy-fcn", DIGEST, Checkpoints(steps=3), tmp_path)
    assert [step for step in range(1, 10) if store.due(step)] == [3, 6, 9]


def test_by_the_clock_a_checkpoint_is_due_after_the_interval_or_a_hundred_times_its_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now)
    store = checkpoints.CheckpointStore("toy-fcn", DIGEST, Checkpoints(minutes=0.5), tmp_path)
    assert not store.due(1)
    now = 30.0
    assert store.due(2)
    store._write_seconds = 0.6  # seconds that the last one took: 2 % of 30 s
    assert not store.due(2)
    now = 60.0
    assert store.due(3)
    save(store, 3)
    assert not store.due(4)


ENTRY = ROOT / "stages/train.py"
BY_NAME = ["heads/fcn8s", "backbones/vgg16"]


@pytest.mark.usefixtures("seeded")
def test_the_digest_changes_with_all_that_can_change_the_result(loaded: reader.Loaded) -> None:
    compute = loaded.common.compute()

    def digest(compute: Compute = compute, **changes: object) -> str:
        parts = {"settings": {"epochs": 3}, "records": "abc", "init_from": "def"} | changes
        return checkpoints.digest(compute, ENTRY, BY_NAME, **parts)

    digests = [
        digest(),
        digest(settings={"epochs": 4}),
        digest(records="abd"),
        digest(init_from="deg"),
        digest(compute.model_copy(update={"seed": 1})),
        digest(compute.model_copy(update={"precision": "mixed_bfloat16"})),
        checkpoints.digest(compute, ENTRY, ["heads/fcn4s", "backbones/vgg16"]),
    ]
    assert len(set(digests)) == len(digests)
    assert digest() == digest()


@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize(
    ("path", "counts"),
    [
        ("stages/train.py", True),
        ("fcn/training/losses.py", True),
        ("fcn/records/record.py", True),
        ("fcn/heads/fcn8s.py", True),
        ("fcn/heads/unet.py", False),
        ("fcn/pictures/photos.py", False),
        ("fcn/common/messages.py", False),
        ("fcn/runtime/progress.py", False),
        ("stages/evaluate.py", False),
    ],
)
def test_an_edit_changes_the_digest_if_training_depends_on_the_file(
    path: str, counts: bool, loaded: reader.Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def digest() -> str:
        return checkpoints.digest(loaded.common.compute(), tmp_path / "stages/train.py", BY_NAME)

    for folder in ("fcn", "stages"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    monkeypatch.setattr(imports, "ROOT", tmp_path)
    monkeypatch.setattr(imports, "ROOMS", tmp_path / "fcn")
    before = digest()
    with (tmp_path / path).open("a") as file:
        file.write("# edited\n")
    assert (digest() != before) == counts
