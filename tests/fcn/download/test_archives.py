import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fcn.datasets.shared.archive import Archive
from fcn.download import archives

FILES = {"set/images/a.png": b"a" * 3000, "set/masks/a.png": b"b", "readme.txt": b"c"}
Make = Callable[..., Path]


def archive(filename: str, *unpacked: str) -> Archive:
    return Archive(url="https://example.org/x", filename=filename, unpacked=unpacked)


def make_zip(path: Path, content: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in content.items():
            out.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
        for name, target in (links or {}).items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o120777 << 16
            out.writestr(info, target)
    return path


def make_tar(
    path: Path,
    content: dict[str, bytes],
    links: dict[str, str] | None = None,
    kind: bytes = tarfile.SYMTYPE,
) -> Path:
    mode = "w:gz" if path.suffix in (".gz", ".tgz") else "w"
    with tarfile.open(path, mode) as out:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            out.addfile(info)
    return path


def make(path: Path, content: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    return (make_zip if path.suffix == ".zip" else make_tar)(path, content, links)


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "records"


NAMES = pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tgz", "a.tar.gz"])


@NAMES
def test_what_is_wanted_is_unpacked_and_gone_afterwards(name: str, raw: Path, out: Path) -> None:
    make(raw / name, FILES)
    with archives.laid_out(raw, [archive(name, "set/images")], out) as root:
        assert root != raw
        assert root.parent == out.parent
        assert tree(root) == {"set/images/a.png": FILES["set/images/a.png"]}
    assert {path.name for path in out.parent.iterdir()} == {"raw"}


def test_a_folder_in_which_nothing_is_packed_is_used_as_it_is(raw: Path, out: Path) -> None:
    (raw / "set/images").mkdir(parents=True)
    (raw / "digits.csv.gz").touch()
    wanted = [archive("a.zip", "set/images"), archive("digits.csv.gz")]
    with archives.laid_out(raw, wanted, out) as root:
        assert root == raw


def test_files_brought_by_hand_are_beside_unpacked_ones(raw: Path, out: Path) -> None:
    make(raw / "images.zip", {"set/images/a": b"a"})
    for name in ("set/masks/a", "set/other", "list.txt", "hand/b"):
        (raw / name).parent.mkdir(parents=True, exist_ok=True)
        (raw / name).write_bytes(name.encode())
    wanted = [archive("images.zip", "set/images"), archive("masks.zip", "set/masks")]
    with archives.laid_out(raw, wanted, out) as root:
        assert (root / "set/images/a").read_bytes() == b"a"
        assert (root / "set/masks/a").read_bytes() == b"set/masks/a"
        assert (root / "list.txt").read_bytes() == b"list.txt"
        assert (root / "hand/b").read_bytes() == b"hand/b"
        assert not (root / "images.zip").exists()
    assert (raw / "set/masks/a").exists(), "a link is removed, not what it points to"


def test_what_a_killed_run_left_is_cleared(raw: Path, out: Path) -> None:
    make(raw / "a.zip", FILES)
    wanted = [archive("a.zip", "set")]
    with archives.laid_out(raw, wanted, out) as root:
        left = root / "set/images/old.png"
    left.parent.mkdir(parents=True)
    left.touch()
    with archives.laid_out(raw, wanted, out) as root:
        assert not left.exists()


LEAVING = {
    "a path above": ({"set/../../evil": b""}, {}, "set/../../evil"),
    "an absolute path": ({"/tmp/evil": b""}, {}, "/tmp/evil"),
    "a link to above": ({}, {"set/evil": "../../secret"}, "set/evil"),
    "an absolute link": ({}, {"evil": "/etc/passwd"}, "evil -> /etc/passwd"),
}


@NAMES
@pytest.mark.parametrize("leaving", LEAVING)
def test_an_archive_that_leads_out_of_the_folder_is_refused(
    leaving: str, name: str, raw: Path, out: Path
) -> None:
    content, links, said = LEAVING[leaving]
    make(raw / name, FILES | content, links)
    with (
        pytest.raises(ValueError, match="leads out of the folder; refused") as caught,
        archives.laid_out(raw, [archive(name, "set")], out),
    ):
        pass
    assert str(raw / name) in str(caught.value)
    assert said in str(caught.value)
    assert {path.name for path in out.parent.iterdir()} == {"raw"}


@NAMES
def test_a_link_that_stays_inside_is_refused_where_it_is_wanted(
    name: str, raw: Path, out: Path
) -> None:
    make(raw / name, FILES, {"set/b.png": "images/a.png"})
    with archives.laid_out(raw, [archive(name, "set/images")], out) as root:
        assert list(tree(root)) == ["set/images/a.png"]
    with (
        pytest.raises(ValueError, match=r"set/b\.png is a link or a device.*unpack it yourself"),
        archives.laid_out(raw, [archive(name, "set")], out),
    ):
        pass


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.LNKTYPE])
def test_devices_and_hard_links_are_not_unpacked(kind: bytes, raw: Path, tmp_path: Path) -> None:
    path = make_tar(raw / "a.tar", FILES, {"set/x": "readme.txt"}, kind)
    with pytest.raises(ValueError, match="set/x is a link or a device"):
        archives.unpack(path, tmp_path / "to", ["set"])


def test_a_hard_link_to_above_is_refused(raw: Path, tmp_path: Path) -> None:
    path = make_tar(raw / "a.tar", FILES, {"x": "../secret"}, tarfile.LNKTYPE)
    with pytest.raises(ValueError, match=r"x -> \.\./secret leads out"):
        archives.unpack(path, tmp_path / "to", ["set"])


@pytest.mark.parametrize("name", ["a.zip", "a.tgz"])
@pytest.mark.parametrize(
    ("limit", "value", "said"),
    [
        ("MEMBERS", 2, "holds more than 2 files"),
        ("UNPACKED_BYTES", 3000, "would unpack to 3,001 and more, allowed: 3,000"),
        ("RATIO", 1, "would unpack to 3,"),
    ],
)
def test_a_bomb_is_refused(
    limit: str,
    value: int,
    said: str,
    name: str,
    raw: Path,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make(raw / name, FILES)
    monkeypatch.setattr(archives, "ALLOWANCE", 0)
    monkeypatch.setattr(archives, limit, value)
    with (
        pytest.raises(ValueError, match=f"{said}.*refused as a bomb") as caught,
        archives.laid_out(raw, [archive(name, "set")], out),
    ):
        pass
    assert str(raw / name) in str(caught.value)
    assert {path.name for path in out.parent.iterdir()} == {"raw"}


def test_what_is_no_bomb_is_within_the_limits(raw: Path, out: Path) -> None:
    flat = {f"set/{n}": bytes(1_000_000) for n in range(20)}
    make(raw / "a.tgz", flat)
    assert (raw / "a.tgz").stat().st_size * archives.RATIO < 20_000_000
    with archives.laid_out(raw, [archive("a.tgz", "set")], out) as root:
        assert len(tree(root)) == 20


@NAMES
@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_archive_is_named(share: float, name: str, raw: Path, out: Path) -> None:
    path = make(raw / name, {f"set/{n}": bytes([n]) * 700 for n in range(50)})
    content = path.read_bytes()
    if name == "a.tar":  # Its end is padded with zeros.
        content = content[: 50 * (512 + 1024)]
    path.write_bytes(content[: int(share * len(content))])
    with (
        pytest.raises(ValueError, match="was cut short, is damaged or no such archive") as caught,
        archives.laid_out(raw, [archive(name, "set")], out),
    ):
        pass
    assert str(path) in str(caught.value)
    with pytest.raises(ValueError, match=f"^{name} was cut short"):
        archives.prove(path, name)
    assert {path.name for path in out.parent.iterdir()} == {"raw"}


def test_a_damaged_member_is_named_with_its_archive(raw: Path) -> None:
    path = make_zip(raw / "a.zip", FILES)
    content = bytearray(path.read_bytes())
    content[60] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=r"^a\.zip was cut short, is damaged"):
        archives.prove(path, "a.zip")


def test_an_archive_with_a_password_is_named(raw: Path) -> None:
    path = make_zip(raw / "a.zip", {"set/a": b"a"})
    content = path.read_bytes()
    # Bit 0 of the general purpose flags, in the local and in the central header.
    for start, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        where = content.index(start) + at
        content = content[:where] + b"\x01" + content[where + 1 :]
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.zip: set/a asks for a password"):
        archives.unpack(path, raw / "to", ["set"])


def test_an_archive_of_something_else_is_named(raw: Path, out: Path) -> None:
    make(raw / "a.zip", FILES)
    with (
        pytest.raises(ValueError, match=r"a\.zip holds no other/masks; is it the right archive"),
        archives.laid_out(raw, [archive("a.zip", "set", "other/masks")], out),
    ):
        pass


def test_a_missing_archive_is_named_with_what_may_stand_for_it(raw: Path, out: Path) -> None:
    with (
        pytest.raises(ValueError, match=r"a\.zip is missing, and beside it set, other"),
        archives.laid_out(raw, [archive("a.zip", "set", "other")], out),
    ):
        pass


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tgz", "digits.csv.gz", "a.txt"])
def test_a_whole_file_is_proven(name: str, raw: Path) -> None:
    path = raw / ".partial"  # While it arrives, a file does not have its name.
    if name in ("digits.csv.gz", "a.txt"):
        path.write_bytes(gzip.compress(b"1,2,3") if name.endswith("gz") else b"text")
    else:
        make(raw / name, FILES).rename(path)
    archives.prove(path, name)


@pytest.mark.parametrize("content", [b"", b"text", gzip.compress(b"1,2,3" * 99)[:-9]])
def test_a_broken_compressed_file_is_named(content: bytes, raw: Path) -> None:
    (raw / "x").write_bytes(content)
    with pytest.raises(ValueError, match=r"^a\.csv\.gz was cut short"):
        archives.prove(raw / "x", "a.csv.gz")


@hypothesis_settings(deadline=None, max_examples=100)
@given(
    name=st.lists(st.sampled_from(["..", ".", "a", "set", "", "b.png"]), max_size=6).map("/".join),
    link=st.none() | st.sampled_from(["..", "../..", "a/../..", "/", "b", "../a"]),
    kind=st.sampled_from(["a.zip", "a.tar"]),
)
def test_nothing_is_ever_written_outside(
    name: str, link: str | None, kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("outside")
    content, links = ({name or "a": b"x"}, {}) if link is None else ({}, {name or "a": link})
    path = make(folder / kind, content | {"set/last": b"y"}, links)
    (folder / "deep/deeper").mkdir(parents=True)
    with suppress(ValueError, OSError):
        archives.unpack(path, folder / "deep/deeper/root", ["set", "a", "b.png"])
    outside = {p for p in folder.rglob("*") if not p.is_relative_to(folder / "deep/deeper/root")}
    assert outside == {path, folder / "deep", folder / "deep/deeper"}
    assert not any(p.is_symlink() for p in folder.rglob("*"))
