import re

import pytest

from fcn.common import text


def test_a_misspelt_name_is_answered_with_the_one_that_was_meant() -> None:
    assert text.nearest("epoch", ["batch", "epochs"]) == "did you mean 'epochs'?"


def test_a_name_like_no_other_is_answered_with_all_of_them_in_order() -> None:
    assert text.nearest("zzz", ["epochs", "batch"]) == "known: batch, epochs"


def test_where_nothing_is_known_it_says_so() -> None:
    assert text.nearest("zzz", []) == "known: none"


def test_known_names_may_be_an_iterator() -> None:
    assert text.nearest("zzz", iter(["b", "a"])) == "known: a, b"


@pytest.mark.parametrize(
    ("name", "ascii_name", "whole_name"),
    [("Füße", r"F__e-\w{8}", "Füße"), ("犬", r"_-\w{8}", "犬")],
)
def test_a_file_name_may_keep_letters_of_every_script(
    name: str, ascii_name: str, whole_name: str
) -> None:
    assert re.fullmatch(ascii_name, text.file_name(name))
    assert text.file_name(name, ascii_only=False) == whole_name
    assert "/" not in text.file_name(f"{name}/a", ascii_only=False)
