import gzip
import hashlib
import random
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fcn.common import files
from fcn.datasets.shared import catalogue
from fcn.datasets.shared.archive import Archive
from fcn.download import fetch, web
from tests.publisher import (
    PAGE,
    Answer,
    Publisher,
    closed_port,
    cut,
    page,
    plain_page,
    publisher,
    status,
)

ROOT = Path(__file__).parents[3]
DIGITS = catalogue.load("digits").archives[0]
CONTENT = gzip.compress(random.Random(1).randbytes(500_000), mtime=0)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def server() -> Iterator[Publisher]:
    with publisher() as one:
        one.files["x/a.gz"] = CONTENT
        yield one


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "WAITS", (0.0, 0.0))


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return tmp_path / "raw/mine"


def archive(server: Publisher | str, **known: Any) -> Archive:
    url = server if isinstance(server, str) else server.url
    return Archive(url=f"{url}/x/a.gz", filename="a.gz", **known)


KNOWN = {"bytes": len(CONTENT), "sha256": SHA256}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize("known", [KNOWN, {"sha256": SHA256}, {"md5": MD5}, {}], ids=str)
def test_the_archive_arrives_with_nothing_beside_it(
    known: dict[str, Any], server: Publisher, raw: Path
) -> None:
    proven = fetch.fetch(archive(server, **known), raw)
    assert proven is not None
    assert (proven.bytes, proven.sha256) == (len(CONTENT), SHA256)
    assert (raw / "a.gz").read_bytes() == CONTENT
    assert names(raw) == ["a.gz"]


def test_a_correct_file_is_kept_and_not_fetched(server: Publisher, raw: Path) -> None:
    fetch.fetch(archive(server, **KNOWN), raw)
    before = (raw / "a.gz").stat()  # Reading may change the time of access, nothing else.
    (raw / ".a.gz.partial").touch()
    assert fetch.fetch(archive(server, **KNOWN), raw) == archive(server, **KNOWN)
    after = (raw / "a.gz").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert len(server.asked) == 1
    assert names(raw) == ["a.gz"], "an older partial file is removed"


def test_a_damaged_file_is_fetched_again(server: Publisher, raw: Path) -> None:
    raw.mkdir(parents=True)
    (raw / "a.gz").write_bytes(CONTENT[:-1])
    fetch.fetch(archive(server, **KNOWN), raw)
    assert (raw / "a.gz").read_bytes() == CONTENT


def changed(content: bytes) -> Answer:
    return lambda handler, _: handler.reply(200, content)


NOT_GZIP = "was cut short, is damaged or no such archive"
REFUSED = {
    "a wrong hash": (changed(CONTENT[::-1]), KNOWN, f"got bytes {len(CONTENT)}, SHA-256"),
    "a wrong size": (changed(CONTENT + b"x"), KNOWN, f"got bytes {len(CONTENT) + 1}"),
    "a wrong MD5": (changed(CONTENT[::-1]), {"md5": MD5}, f"expected MD5 {MD5}"),
    "a truncated archive": (changed(CONTENT[:-500]), KNOWN, f"expected bytes {len(CONTENT)}"),
    "a truncated unknown one": (changed(CONTENT[:-500]), {}, NOT_GZIP),
    "an unknown something": (changed(b"no gzip"), {}, NOT_GZIP),
    "nothing at all": (changed(b""), {}, "was cut short: it is empty"),
    "a web page": (page, KNOWN, "a web page instead of the file"),
    "a web page that says it is none": (plain_page, KNOWN, "a web page instead of a.gz"),
    "a web page for an unknown one": (plain_page, {}, "a web page instead of a.gz"),
    "404": (status(404), KNOWN, "404 Not Found"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("before", [None, b"a person's"], ids=["new", "replacing"])
def test_a_wrong_answer_is_refused_and_nothing_is_left(
    before: bytes | None, case: str, server: Publisher, raw: Path
) -> None:
    answer, known, said = REFUSED[case]
    if before:
        raw.mkdir(parents=True)
        (raw / "a.gz").write_bytes(before)
    server.next = [answer]
    with pytest.raises(ValueError, match=f"{server.url}/x/a.gz: ") as caught:
        fetch.fetch(archive(server, **known), raw)
    assert said in str(caught.value)
    assert names(raw) == (["a.gz"] if before else [])
    assert not before or (raw / "a.gz").read_bytes() == before


def test_500_then_200_arrives(server: Publisher, raw: Path) -> None:
    server.next = [status(500)]
    assert fetch.fetch(archive(server, **KNOWN), raw)


def test_without_network_the_message_says_what_to_do(raw: Path) -> None:
    with pytest.raises(ValueError, match="refused") as caught:
        fetch.fetch(archive(closed_port()), raw)
    assert str(caught.value).startswith(f"{raw / 'a.gz'} is missing\n")
    assert f"put it: as {raw / 'a.gz'}" in str(caught.value)
    assert "FCN_MIRROR=FOLDER" in str(caught.value)


def test_an_interrupted_download_resumes_in_the_next_run(server: Publisher, raw: Path) -> None:
    server.next = [cut(200_000), *[status(503)] * 3]
    with pytest.raises(ValueError, match="503"):
        fetch.fetch(archive(server, **KNOWN), raw)
    assert names(raw) == [".a.gz.partial", ".a.gz.partial.json"]
    fetch.fetch(archive(server, **KNOWN), raw)
    assert names(raw) == ["a.gz"]
    (_, _, _), (_, asked, sent) = server.asked
    assert asked is not None
    assert 0 < sent < len(CONTENT) - 100_000


def test_a_part_that_turns_out_wrong_is_fetched_once_from_the_start(
    server: Publisher, raw: Path
) -> None:
    server.next = [cut(200_000), *[status(503)] * 3]
    with pytest.raises(ValueError, match="503"):
        fetch.fetch(archive(server, **KNOWN), raw)
    part = raw / ".a.gz.partial"
    part.write_bytes(bytes(part.stat().st_size))
    proven = fetch.fetch(archive(server, **KNOWN), raw)
    assert proven is not None
    assert proven.sha256 == SHA256
    assert names(raw) == ["a.gz"]
    assert [asked is None for _, asked, _ in server.asked] == [True, False, True]


def test_a_part_that_turns_out_wrong_twice_is_given_up(server: Publisher, raw: Path) -> None:
    raw.mkdir(parents=True)
    (raw / ".a.gz.partial").write_bytes(b"from somewhere")
    with pytest.raises(ValueError, match=r"not the expected a\.gz"):
        fetch.fetch(archive(server, sha256="0" * 64), raw)
    assert names(raw) == []
    assert len(server.asked) == 2


def test_a_recorded_hash_must_match_later(server: Publisher, raw: Path, tmp_path: Path) -> None:
    hashes = tmp_path / "hashes/mine.json"
    first = fetch.fetch(archive(server), raw, hashes=hashes)
    assert first is not None
    fetch.record([first], hashes)
    assert files.read_json(hashes) == {"a.gz": KNOWN}
    other = gzip.compress(b"another version", mtime=0)
    server.files["x/a.gz"] = other
    elsewhere = tmp_path / "elsewhere/mine"
    with pytest.raises(ValueError, match=r"not the expected a\.gz") as caught:
        fetch.fetch(archive(server), elsewhere, hashes=hashes)
    assert f"SHA-256 {hashlib.sha256(other).hexdigest()}" in str(caught.value)
    assert f"SHA-256 {SHA256} (recorded in {hashes}" in str(caught.value)
    assert names(elsewhere) == []


def test_what_is_recorded_stays_when_others_are_added(tmp_path: Path) -> None:
    hashes = tmp_path / "mine.json"
    one, two = (replace(archive("http://x", **KNOWN), filename=name) for name in ("1.gz", "2.gz"))
    fetch.record([one], hashes)
    fetch.record([two], hashes)
    assert files.read_json(hashes) == {"1.gz": KNOWN, "2.gz": KNOWN}


@pytest.mark.parametrize("place", ["mine/a.gz", "a.gz"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_mirror_folder_is_tried_before_the_publisher(
    slash: str, place: str, server: Publisher, raw: Path, tmp_path: Path
) -> None:
    (tmp_path / "mirror" / place).parent.mkdir(parents=True)
    (tmp_path / "mirror" / place).write_bytes(CONTENT)
    assert fetch.fetch(archive(server, **KNOWN), raw, f"{tmp_path}/mirror{slash}")
    assert names(raw) == ["a.gz"]
    assert server.asked == []


@pytest.mark.parametrize("place", ["m/mine/a.gz", "m/a.gz"])
def test_a_mirror_url_is_tried_before_the_publisher(
    place: str, server: Publisher, raw: Path
) -> None:
    server.files = {place: CONTENT}
    assert fetch.fetch(archive("http://nowhere.invalid", **KNOWN), raw, f"{server.url}/m/")
    assert [path for path, _, _ in server.asked] == [place]


@pytest.mark.parametrize("mirror", ["{tmp}/no/such/folder", "{server}/empty", "{closed}"])
def test_a_mirror_that_has_it_not_is_passed_over(
    mirror: str, server: Publisher, raw: Path, tmp_path: Path
) -> None:
    told = mirror.format(tmp=tmp_path, server=server.url, closed=closed_port())
    assert fetch.fetch(archive(server, **KNOWN), raw, told)


def test_a_mirror_with_a_wrong_file_is_named(server: Publisher, raw: Path, tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(PAGE)
    with pytest.raises(ValueError, match="a web page instead of") as caught:
        fetch.fetch(archive(server, **KNOWN), raw, str(tmp_path))
    assert str(tmp_path / "a.gz") in str(caught.value)
    assert names(raw) == []
    assert server.asked == []


def test_a_mirror_of_another_kind_is_refused(server: Publisher, raw: Path) -> None:
    with pytest.raises(ValueError, match="mirror 's3://bucket': allowed: a folder, or a URL"):
        fetch.fetch(archive(server), raw, "s3://bucket")


LOGIN = Archive(
    url=None,
    filename="set.zip",
    unpacked=("set/images", "set/masks"),
    by_hand="register at https://example.org and download set.zip",
)


def test_what_needs_a_login_says_what_to_fetch_and_where_to_put_it(
    raw: Path, tmp_path: Path
) -> None:
    (raw / "set/masks").mkdir(parents=True)
    with pytest.raises(fetch.OnlyByHand) as caught:
        fetch.fetch(LOGIN, raw, str(tmp_path / "mirror"))
    assert str(caught.value).splitlines() == [
        f"{raw}/set.zip is missing",
        f"  tried {tmp_path}/mirror/mine/set.zip: no such file",
        f"  tried {tmp_path}/mirror/set.zip: no such file",
        "  get it: register at https://example.org and download set.zip",
        f"  put it: as {raw}/set.zip, or unpacked, so that {raw} holds set/images, set/masks",
        "  of these, only set/masks exist",
        "  without internet: FCN_MIRROR=FOLDER, see docs/datasets.md",
    ]


def test_what_needs_a_login_is_taken_as_a_person_put_it(raw: Path) -> None:
    (raw / "set/masks").mkdir(parents=True)
    (raw / "set/images").mkdir()
    assert fetch.fetch(LOGIN, raw) is None
    assert names(raw) == ["set"]
    shutil.rmtree(raw / "set")
    with zipfile.ZipFile(raw / "set.zip", "w") as out:
        out.writestr("set/images/a", b"a")
    proven = fetch.fetch(LOGIN, raw)
    assert proven is not None
    assert proven.sha256 == files.sha256(raw / "set.zip")


def test_an_archive_that_a_person_put_there_cut_short_is_named(raw: Path) -> None:
    raw.mkdir(parents=True)
    (raw / "set.zip").write_bytes(b"PK\x03\x04")
    with pytest.raises(fetch.OnlyByHand, match=r"tried .*/set\.zip: set\.zip was cut short"):
        fetch.fetch(LOGIN, raw)
    assert (raw / "set.zip").read_bytes() == b"PK\x03\x04"


def test_another_version_put_there_later_says_where_the_first_is_recorded(
    raw: Path, tmp_path: Path
) -> None:
    raw.mkdir(parents=True)
    for content in (b"1", b"2"):
        with zipfile.ZipFile(raw / "set.zip", "w") as out:
            out.writestr("set/images/a", content)
        if content == b"1":
            first = fetch.fetch(LOGIN, raw)
            assert first is not None
            fetch.record([first], tmp_path / "hashes.json")
    with pytest.raises(fetch.OnlyByHand, match=r"set\.zip cannot be used") as caught:
        fetch.fetch(LOGIN, raw, hashes=tmp_path / "hashes.json")
    assert "to accept another file, delete its entry there" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("package:no_such_package/x.gz", "package 'no_such_package' is not installed"),
        ("package:sklearn/no/such.gz", "package:sklearn/no/such.gz: no such file"),
        ("package:sklearn/datasets", "package:sklearn/datasets: no such file"),
    ],
    ids=["package", "file", "a folder"],
)
def test_a_missing_package_file_is_named(url: str, message: str, raw: Path) -> None:
    with pytest.raises(ValueError, match=message):
        fetch.fetch(replace(DIGITS, url=url), raw)
    assert names(raw) == []


def test_the_package_is_not_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from fcn.datasets.shared import catalogue;"
        "from fcn.download import fetch;"
        f"fetch.fetch(catalogue.load('digits').archives[0], Path({str(tmp_path)!r}));"
        "assert 'sklearn' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    assert (tmp_path / DIGITS.filename).is_file()
