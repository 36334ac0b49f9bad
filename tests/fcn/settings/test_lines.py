import pytest

from fcn.settings import lines

TEXT = """\
# A comment.
seed: 1
models:
  a.b: {head: x, training: {epochs: 1}}
  a-c: &shared
    strides: [4,
              8]
  d:
    <<: *shared
    head: y
"""


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("seed", 2),
        ("models.a.b.training.epochs", 4),
        ("models.a-c.strides.1", 7),
        ("models.d.head", 10),
        ("models.d.strides", 8),
        ("models.a-c.head", 5),
        ("(the whole file)", 1),
    ],
)
def test_a_setting_has_the_line_of_its_key_and_a_missing_one_that_of_its_group(
    key: str, line: int
) -> None:
    assert lines.numbers(TEXT)(key) == line


@pytest.mark.parametrize("text", ["", "- 1\n", "text\n"])
def test_a_file_without_settings_has_line_1(text: str) -> None:
    assert lines.numbers(text)("models.a") == 1
