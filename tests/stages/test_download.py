"""The stage: what it leaves, what it says, and that every failure ends it."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fcn.common import files
from fcn.datasets.shared import catalogue
from tests import interrupts
from tests.publisher import (
    Answer,
    Publisher,
    closed_port,
    cut,
    halves,
    page,
    plain_page,
    publisher,
    status,
)
from tests.waiting import wait_for

NAME = "digits.csv.gz"
STAGE = """
import resource, runpy, sys
from fcn.datasets.shared import catalogue
from fcn.download import web
from fcn.datasets.shared.archive import Archive
from dataclasses import replace
url, most, *sys.argv[1:] = sys.argv[1:]
digits = catalogue.load("digits")
if url == "by hand":
    here = [Archive(url=None, filename=f"{n}.zip", by_hand="ask them", unpacked=(n,)) for n in "ab"]
elif url:
    here = [replace(archive, url=f"{url}/{archive.filename}") for archive in digits.archives]
if url:
    catalogue.load = lambda name: replace(digits, archives=tuple(here))
web.WAITS = (0.0, 0.0)
if most:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(most), int(most)))
runpy.run_module("stages.download", run_name="__main__")
"""


@pytest.fixture
def server(raw: Path) -> Iterator[Publisher]:
    with publisher() as one:
        one.files[NAME] = (raw / NAME).read_bytes()
        yield one


def download(
    tmp_path: Path, url: str = "", mirror: str = "", most: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the stage; with `url`, as if the archives were published there."""
    options = ["--out", f"{tmp_path}/raw/digits", "--hashes", f"{tmp_path}/hashes/digits.json"]
    return subprocess.run(
        [sys.executable, "-c", STAGE, url, most, "digits", *options],
        env=os.environ | {"FCN_MIRROR": mirror, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def left(tmp_path: Path) -> list[str]:
    return sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file())


WHOLE = ["hashes/digits.json", f"raw/digits/{NAME}"]


def test_from_the_package(tmp_path: Path) -> None:
    done = download(tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    (archive,) = catalogue.load("digits").archives
    assert done.stderr == f"digits: {NAME}, 57,523 bytes, SHA-256 {archive.sha256}\n"
    assert left(tmp_path) == WHOLE
    recorded = files.read_json(tmp_path / "hashes/digits.json")
    assert recorded == {NAME: {"bytes": archive.bytes, "sha256": archive.sha256}}


def test_a_second_run_changes_nothing_and_asks_nobody(server: Publisher, tmp_path: Path) -> None:
    for _ in range(2):
        assert download(tmp_path, server.url).returncode == 0
    assert len(server.asked) == 1
    assert left(tmp_path) == WHOLE


def test_from_a_mirror_without_internet(raw: Path, tmp_path: Path) -> None:
    assert download(tmp_path, closed_port(), mirror=str(raw)).returncode == 0
    assert left(tmp_path) == WHOLE


def test_a_cut_connection_and_an_error_in_between(server: Publisher, tmp_path: Path) -> None:
    server.next = [status(500), cut(40_000), status(503)]
    done = download(tmp_path, server.url)
    assert done.returncode == 0
    assert "500 Internal Server Error; next attempt in" in done.stderr
    assert left(tmp_path) == WHOLE


def changed(content: bytes) -> Answer:
    return lambda handler, _: handler.reply(200, content)


ENDS: dict[str, tuple[Answer, str]] = {
    "a wrong hash": (changed(bytes(57_523)), "not the expected digits.csv.gz"),
    "a truncated archive": (changed(b"\x1f\x8b"), "got bytes 2, SHA-256"),
    "a web page": (page, "a web page instead of the file"),
    "a web page that says it is none": (plain_page, "a web page instead of digits.csv.gz"),
    "404": (status(404), "404 Not Found"),
}


@pytest.mark.parametrize("case", ENDS)
def test_a_failure_is_one_message_and_leaves_nothing(
    case: str, server: Publisher, tmp_path: Path
) -> None:
    answer, said = ENDS[case]
    server.next = [answer]
    done = download(tmp_path, server.url)
    assert done.returncode == 1
    fetching, message = done.stderr.split("\nerror: ")
    assert fetching == f"fetching {server.url}/{NAME}"
    assert f"{server.url}/{NAME}: " in message
    assert said in message
    assert "Traceback" not in message
    assert left(tmp_path) == []


def test_without_network(tmp_path: Path) -> None:
    url = closed_port()
    done = download(tmp_path, url)
    assert done.returncode == os.EX_TEMPFAIL
    assert f"error: {tmp_path}/raw/digits/{NAME} is missing" in done.stderr
    assert (
        f"tried {url}/{NAME}: the connection failed ([Errno 111] Connection refused)" in done.stderr
    )


@pytest.mark.parametrize("by", ["web", "mirror"])
def test_a_full_disk_is_named_and_nothing_is_left(
    by: str, server: Publisher, raw: Path, tmp_path: Path
) -> None:
    mirror = str(raw) if by == "mirror" else ""
    done = download(tmp_path, server.url, mirror, most="30000")
    assert done.returncode == 1
    assert f"error: {tmp_path}/raw/digits/" in done.stderr
    assert "the file is larger than this system allows" in done.stderr
    assert left(tmp_path) == []


def test_an_interrupted_download_resumes_in_the_next_run(server: Publisher, tmp_path: Path) -> None:
    content = server.files[NAME] = server.files[NAME] * 5
    server.next = [cut(200_000), *[status(503)] * 3]
    assert download(tmp_path, server.url).returncode == os.EX_TEMPFAIL
    part = tmp_path / f"raw/digits/.{NAME}.partial"
    had = part.stat().st_size
    assert content.startswith(part.read_bytes())
    assert left(tmp_path) == [f"raw/digits/.{NAME}.partial", f"raw/digits/.{NAME}.partial.json"]
    assert "not the expected" in download(tmp_path, server.url).stderr
    assert server.asked[1] == (NAME, f"bytes={had}-", len(content) - had)


def test_ctrl_c_keeps_what_a_download_has_and_the_next_run_resumes(
    server: Publisher, tmp_path: Path
) -> None:
    server.next = [halves]
    options = ["--out", f"{tmp_path}/raw/digits", "--hashes", f"{tmp_path}/hashes/digits.json"]
    with subprocess.Popen(
        [sys.executable, "-c", STAGE, server.url, "", "digits", *options],
        env={name: value for name, value in os.environ.items() if name != "FCN_MIRROR"},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=interrupts.heed,
    ) as process:
        origin = tmp_path / f"raw/digits/.{NAME}.partial.json"
        wait_for(lambda: origin.exists() or process.poll() is not None)
        process.send_signal(signal.SIGINT)
        _, shown = process.communicate(timeout=300)
    assert process.returncode == 130
    assert shown.splitlines() == [
        f"fetching {server.url}/{NAME}",
        "interrupted; run again: complete files are kept, the download resumes",
    ]
    assert left(tmp_path) == [f"raw/digits/.{NAME}.partial", f"raw/digits/.{NAME}.partial.json"]
    assert download(tmp_path, server.url).returncode == 0


def test_one_message_names_all_archives_to_fetch_by_hand(tmp_path: Path) -> None:
    done = download(tmp_path, "by hand")
    assert done.returncode == 1
    folder = tmp_path / "raw/digits"
    for name in "ab":
        assert f"{folder}/{name}.zip is missing" in done.stderr
        put = f"put it: as {folder}/{name}.zip, or unpacked, so that {folder} holds {name}"
        assert put in done.stderr
    assert done.stderr.count("get it: ask them") == 2
    assert left(tmp_path) == []
    for name in "ab":
        (folder / name).mkdir(parents=True)
    done = download(tmp_path, "by hand")
    assert done.returncode == 0
    assert "has the files of a.zip, unpacked" in done.stderr
    assert files.read_json(tmp_path / "hashes/digits.json") == {}


def test_the_mirror_in_the_settings_is_overridden_by_the_variable(
    server: Publisher, tree: Callable[[str, str], Path], tmp_path: Path
) -> None:
    server.files = {f"settings/{NAME}": server.files[NAME], f"variable/{NAME}": server.files[NAME]}
    folder = tree("seed: 1337", f"seed: 1337\nmirror: {server.url}/settings")
    for variable in ("", f"{server.url}/variable"):
        out = ["--out", f"{tmp_path}/out{len(variable)}", "--hashes", f"{tmp_path}/hashes.json"]
        subprocess.run(
            [sys.executable, "-m", "stages.download", "digits", *out],
            cwd=folder,
            env=os.environ | {"FCN_MIRROR": variable},
            check=True,
        )
    assert [path for path, _, _ in server.asked] == [f"settings/{NAME}", f"variable/{NAME}"]
