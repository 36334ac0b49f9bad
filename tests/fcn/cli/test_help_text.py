"""Help texts at any width: paragraphs are filled, examples stay commands that a shell takes."""

import shlex
from pathlib import Path

import pytest

from fcn.cli.help_text import lay_out

ROOT = Path(__file__).parents[3]
TEXT = r"""Do something with a
data set.

Run:
    python -m stages.train digits --records data/records/digits \
        --valid data/reports/digits/valid.json --out data/models/digits.keras

1. The first of two things, which goes on and on
   until it ends.
2. The second.

    photo.json   the share of each class, and the provenance of the result
"""


def test_paragraphs_are_filled_and_items_begin_lines() -> None:
    lines = lay_out(TEXT, 40).splitlines()
    assert lines[0] == "Do something with a data set."
    assert lines[lines.index("1. The first of two things, which goes") + 1][:4] == "   o"
    assert "2. The second." in lines


@pytest.mark.parametrize("width", [40, 60, 78, 98, 200])
def test_lines_fit_and_a_command_keeps_its_words(width: int) -> None:
    laid_out = lay_out(TEXT, width)
    assert max(len(line) for line in laid_out.splitlines()) <= max(width, 52)

    def command(text: str) -> list[str]:
        example = text.partition("Run:\n")[2].partition("\n\n")[0]
        return shlex.split(example.replace("\\\n", " "))

    assert command(laid_out) == command(TEXT)


def test_columns_hang() -> None:
    assert lay_out(TEXT, 50).splitlines()[-2:] == [
        "    photo.json   the share of each class, and the",
        "                 provenance of the result",
    ]


def test_comments_move_above_their_commands_together() -> None:
    text = "    a --b  # one\n    a --c  # a longer comment"
    assert lay_out(text, 40) == text
    assert lay_out(text, 20).splitlines() == [
        "    # one",
        "    a --b",
        "    # a longer comment",
        "    a --c",
    ]
