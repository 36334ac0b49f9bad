from dataclasses import replace
from pathlib import Path

import pytest

import fcn.datasets
from fcn import dataset

ROOT = Path(__file__).parents[2]
DIGITS = dataset.load("digits")
ARCHIVE = DIGITS.archives[0]


@pytest.mark.parametrize("sha256", ["", "0" * 63, "0" * 65, "F" * 64, "g" * 64])
def test_a_hash_that_cannot_match_is_refused_where_it_is_written(sha256: str) -> None:
    with pytest.raises(AssertionError, match=r"digits\.csv\.gz: malformed SHA-256"):
        replace(ARCHIVE, sha256=sha256)


def test_an_archive_without_bytes_is_refused() -> None:
    with pytest.raises(AssertionError, match=r"digits\.csv\.gz"):
        replace(ARCHIVE, bytes=0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"colours": DIGITS.colours[1:]},
        {"classes": ("0", *DIGITS.classes[1:-1], "0")},
        {"classes": tuple(map(str, range(255))), "colours": ((0, 0, 0),) * 255},
        {"channels": 2},
    ],
    ids=["a colour too few", "a name twice", "255 classes and ignored", "two channels"],
)
def test_a_data_set_that_contradicts_itself_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(AssertionError, match="digits"):
        replace(DIGITS, **wrong)


def test_the_names_are_the_files() -> None:
    there = (ROOT / "fcn/datasets").glob("[!_]*.py")
    assert dataset.names() == sorted(path.stem for path in there)


def test_a_new_file_is_found_without_any_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "letters.py").write_text("DATASET = 'the letters'\n")
    monkeypatch.setattr(fcn.datasets, "__path__", [*fcn.datasets.__path__, str(tmp_path)])
    assert "letters" in dataset.names()
    assert dataset.load("letters") == "the letters"  # type: ignore[comparison-overlap]


@pytest.mark.parametrize("name", ["digit", "dataset", "", "../digits", "__init__"])
def test_a_name_without_a_file_is_refused_with_what_there_is(name: str) -> None:
    with pytest.raises(ValueError, match=rf"no data set '{name}' in fcn/datasets/; .*digits"):
        dataset.load(name)
