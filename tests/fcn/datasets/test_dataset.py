from dataclasses import replace

import pytest

from fcn.datasets.shared import catalogue

DIGITS = catalogue.load("digits")
ARCHIVE = DIGITS.archives[0]


@pytest.mark.parametrize("sha256", ["", "0" * 63, "0" * 65, "F" * 64, "g" * 64])
def test_a_hash_that_cannot_match_is_refused_where_it_is_written(sha256: str) -> None:
    with pytest.raises(AssertionError, match=r"digits\.csv\.gz: malformed sha256"):
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
