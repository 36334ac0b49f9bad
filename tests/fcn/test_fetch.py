import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fcn import dataset, fetch

ROOT = Path(__file__).parents[2]
ARCHIVE = dataset.load("digits").archives[0]


def test_the_archive_arrives_under_its_name_with_nothing_beside_it(tmp_path: Path) -> None:
    fetch.fetch(replace(ARCHIVE, filename="other.gz"), tmp_path / "raw")
    (path,) = (tmp_path / "raw").iterdir()
    assert path.name == "other.gz"
    assert path.stat().st_size == ARCHIVE.bytes


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"bytes": ARCHIVE.bytes + 1}, f"expected {ARCHIVE.bytes + 1}"), ({"sha256": "0" * 64}, "00")],
    ids=["size", "hash"],
)
def test_a_wrong_archive_is_refused_and_the_right_one_stays(
    wrong: dict[str, object], said: str, tmp_path: Path
) -> None:
    path = tmp_path / ARCHIVE.filename
    for before in (None, b"right"):
        if before:
            path.write_bytes(before)
        with pytest.raises(ValueError, match="got 57523 bytes with SHA-256 09f6") as caught:
            fetch.fetch(replace(ARCHIVE, **wrong), tmp_path)
        assert ARCHIVE.url in str(caught.value)
        assert said in str(caught.value)
        assert [p.read_bytes() for p in tmp_path.iterdir()] == ([before] if before else [])


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("package:no_such_package/x.gz", "package 'no_such_package' is not installed; run `make"),
        ("package:sklearn/no/such.gz", "package 'sklearn' has no file no/such.gz; run `make"),
        ("package:sklearn/datasets", "package 'sklearn' has no file datasets"),
    ],
    ids=["package", "file", "a folder"],
)
def test_a_missing_source_is_named_with_the_next_step(
    url: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        fetch.fetch(replace(ARCHIVE, url=url), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_package_is_not_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from fcn import dataset, fetch;"
        f"fetch.fetch(dataset.load('digits').archives[0], Path({str(tmp_path)!r}));"
        "assert 'sklearn' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    assert (tmp_path / ARCHIVE.filename).is_file()
