"""The stage: what it leaves, what it refuses, and that a failure leaves nothing half-written."""

import os
import re
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from fcn.common import files
from fcn.conversion import shards
from fcn.datasets import camvid
from fcn.records.fingerprint import fingerprint
from fcn.records.labels import read_labels
from fcn.records.split import Records
from stages.convert import convert
from tests import fabricated
from tests.shipped import SHIPPED
from tests.waiting import FOREVER, gone, wait_for

COUNTS = {"train": 4, "val": 2, "test": 3}
OPTIONS = ("camvid", "--raw", "raw", "--out", "records")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with raw/ and the settings of a small CamVid, and in it this process."""
    fabricated.write_camvid(tmp_path / "raw")
    (tmp_path / "tables").mkdir()
    shutil.copy(SHIPPED / "params.yaml", tmp_path)
    shutil.copy(SHIPPED / "tables/camvid.yaml", tmp_path / "tables")
    monkeypatch.chdir(tmp_path)
    say("{train: 367, val: 101, test: 233}", str(COUNTS).replace("'", ""))
    return tmp_path


def say(old: str, new: str) -> None:
    """Replace a text in the table file."""
    path = Path("tables/camvid.yaml")
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


def workers(count: int) -> None:
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(re.sub(r"workers: \d+", f"workers: {count}", text))


def run(**how: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stages.convert", *OPTIONS]
    return subprocess.run(command, capture_output=True, text=True, **how)  # type: ignore[call-overload]


def left() -> set[str]:
    return {path.name for path in Path.cwd().iterdir()} - {"raw", "tables", "params.yaml"}


@pytest.mark.usefixtures("project")
def test_every_pair_becomes_a_record() -> None:
    convert("camvid", Path("raw"), Path("records"))
    for split, count in COUNTS.items():
        source = Records(Path("records"), split)
        samples = camvid.samples(Path("raw"), split, count, 0)
        for number, sample in enumerate(samples):
            assert source.example(number).image == sample.image
            assert (source[number].label == sample.mask).all()
        assert len(source) == count
    assert read_labels(Path("records")).overlaps == camvid.DATASET.overlaps
    assert left() == {"records"}


@pytest.mark.usefixtures("project")
def test_the_bytes_are_the_same_for_one_worker_several_and_a_cluster(
    cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for out in ("one", "several", "cluster"):
        if out == "several":
            workers(3)
        if out == "cluster":
            monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", cluster)
        convert("camvid", Path("raw"), Path(out))
    assert len({fingerprint(Path(out)) for out in ("one", "several", "cluster")}) == 1


@pytest.mark.usefixtures("project")
def test_one_hot_masks_hold_the_same_labels() -> None:
    convert("camvid", Path("raw"), Path("index"))
    say("shards: 4", "shards: 4\n      encoding: onehot")
    convert("camvid", Path("raw"), Path("onehot"))
    hot, plain = (Records(Path(name), "train") for name in ("onehot", "index"))
    assert hot.labels.encoding == hot.example(0).label_format == "onehot"
    for one, other in zip(hot, plain, strict=True):
        assert (one.label == other.label).all()
        assert one.one_hot is not None
        assert one.one_hot.shape == (*one.label.shape, 11)


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("promise", [1, 9])
def test_another_number_of_samples_than_promised_is_refused_before_writing(
    promise: int,
) -> None:
    say("val: 2", f"val: {promise}")
    with pytest.raises(
        ValueError, match=rf"camvid val: got 2 samples, .* expect {promise}; .*splits\.val"
    ):
        convert("camvid", Path("raw"), Path("records"))
    assert left() == set()


def picture(name: str) -> Path:
    return next((Path("raw") / camvid.HOME / name).glob("*.png"))


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("count", [1, 2])
def test_a_damaged_image_is_one_message_that_names_it(count: int) -> None:
    workers(count)
    broken = picture("val")
    damage(broken)
    done = run()
    assert done.returncode == 1
    *_, last = done.stderr.splitlines()
    assert last.startswith("error: ")
    assert broken.stem in last
    assert "no picture, or a damaged one" in last
    assert "Traceback" not in done.stderr
    assert left() == set()


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("folder", ["train", "trainannot"])
def test_a_file_of_no_bytes_is_named(folder: str) -> None:
    empty = picture(folder)
    empty.write_bytes(b"")
    with pytest.raises(ValueError, match=rf"{empty.name}: 0 bytes"):
        convert("camvid", Path("raw"), Path("records"))
    assert left() == set()


@pytest.mark.usefixtures("project")
def test_a_mask_of_16_bits_is_named() -> None:
    mask = picture("testannot")
    Image.fromarray(np.zeros((4, 6), np.uint16)).save(mask)
    with pytest.raises(ValueError, match=rf"{mask.name}: a mask of 16 bits"):
        convert("camvid", Path("raw"), Path("records"))
    assert left() == set()


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("count", [1, 2])
def test_a_full_disk_is_one_message_and_what_stood_there_stays(count: int) -> None:
    workers(count)
    files.write_json(Path("records/labels.json"), "old")
    bytes_allowed = (100, resource.RLIM_INFINITY)
    done = run(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, bytes_allowed))
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert done.stderr.startswith("error: records: the file is larger than this system allows")
    assert left() == {"records"}
    assert files.read_json(Path("records/labels.json")) == "old"


def stall(job: shards.ShardJob) -> None:
    """Write half a shard, then work for longer than any test."""
    job.path.write_bytes(b"half")
    Path(f"pid-{os.getpid()}").touch()
    time.sleep(FOREVER)


STALLED = """
import runpy, sys
from fcn.conversion import shards
from tests.stages.test_convert import stall
shards.write_shard = stall
runpy.run_module("stages.convert", run_name="__main__")
"""


@pytest.mark.usefixtures("project")
def test_a_stage_that_is_killed_leaves_no_worker_and_the_next_run_is_whole() -> None:
    workers(2)
    stage = subprocess.Popen([sys.executable, "-c", STALLED, *OPTIONS])
    try:
        wait_for(lambda: len(list(Path().glob("pid-*"))) >= 2)
        pids = list(Path().glob("pid-*"))
        below = psutil.Process(stage.pid).children(recursive=True)
        assert {int(path.name.removeprefix("pid-")) for path in pids} <= {one.pid for one in below}
    finally:
        stage.kill()
        stage.wait()
    assert gone(*below)
    assert not Path("records").exists()
    convert("camvid", Path("raw"), Path("records"))
    assert {name for name in left() if not name.startswith("pid-")} == {"records"}
