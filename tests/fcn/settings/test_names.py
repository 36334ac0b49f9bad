"""Names of files and classes in a table file: a typo is refused, with the nearest name."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fcn.heads import __path__ as heads
from fcn.labels.check import DEFAULTS
from fcn.settings import names, reader
from fcn.settings.data import RULES

Tree = Callable[[str, str], Path]
TRAINING = "{epochs: 7, batch: 8, learning_rate: 2.0e-3, warmup: 0.05, translate: 10}"


def refusal(root: Path) -> list[str]:
    """The problems that the digits' settings are refused with."""
    with pytest.raises(ValueError, match="wrong setting") as caught:
        reader.load("digits", root)
    return [line.partition(": ")[2] for line in str(caught.value).splitlines()[1:]]


NO_FILE = {
    "a head": (
        "head: fcn16s",
        "head: fcn61s",
        "models.digits-fcn16s.head: got 'fcn61s', which is no file of fcn/heads/; "
        "did you mean 'fcn16s'?",
    ),
    "a backbone's module": (
        "module: vgg16",
        "module: vgg61",
        "backbones.digits-vgg16.module: got 'vgg61', which is no file of fcn/backbones/; "
        "did you mean 'vgg16'?",
    ),
    "a download's module": (
        "  digits:\n    table: digits\n    module: digits",
        "  digits:\n    table: digits\n    module: digts",
        "downloads.digits.module: got 'digts', which is no file of fcn/datasets/; "
        "did you mean 'digits'?",
    ),
}


@pytest.mark.parametrize(("old", "new", "problem"), NO_FILE.values(), ids=NO_FILE)
def test_a_name_without_a_file_is_refused_in_one_line(
    old: str, new: str, problem: str, tree: Tree
) -> None:
    assert refusal(tree(old, new)) == [problem]


def test_a_typo_that_is_repeated_is_refused_where_it_stands(tree: Tree) -> None:
    root = tree("seed", "seed")
    path = root / "tables/digits.yaml"
    text = path.read_text("utf-8").replace("module: digits", "module: digts")
    path.write_text(text.replace("source: digits", "source: digts"), "utf-8")
    problem = "got 'digts', which is no file of fcn/datasets/; did you mean 'digits'?"
    assert refusal(root) == [
        f"downloads.digits.module: {problem}",
        f"datasets.digits.module: {problem}",
        f"backbones.digits-vgg16.source: {problem}",
        f"backbones.digits-scratch.source: {problem}",
        f"tables.digits.source: {problem}",
    ]


@pytest.mark.parametrize(
    ("weights", "problem"),
    [
        ("{backgrund: 0.5}", "no class 'backgrund'; did you mean 'background'?"),
        ("[1, 2]", "got 2 weights, allowed: one for each of the 11 classes (background, 0, "),
    ],
)
def test_class_weights_are_those_of_the_data_set(weights: str, problem: str, tree: Tree) -> None:
    changed = TRAINING.replace("}", f", class_weights: {weights}}}")
    (line,) = refusal(tree(TRAINING, changed))
    assert line.startswith(f"models.digits-fcn16s.training.class_weights: {problem}")


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("classes: ['1', zebra]", "classes: digits has no 'zebra'; known: 0, 1, 2"),
        ("labels: colours", "digits has no label convention 'colours'; known: none"),
    ],
)
def test_classes_and_label_conventions_are_those_of_the_data_set(
    setting: str, problem: str, tree: Tree
) -> None:
    (line,) = refusal(tree("shards: 2", f"shards: 2\n      {setting}"))
    assert line.startswith(f"datasets.digits.convert: {problem}")


def test_a_file_that_names_no_class_imports_no_data_set(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fcn.datasets.shared.catalogue", None)
    assert reader.load("digits", tree("seed", "seed"))


@pytest.mark.parametrize("rule", ["same_imge", "SAME_IMAGE"])
def test_a_rule_that_does_not_exist_is_refused_with_the_nearest(rule: str, tree: Tree) -> None:
    severity = f"{{pictures: 12, severity: {{{rule}: error}}}}"
    assert refusal(tree("{pictures: 12}", severity)) == [
        f"datasets.digits.validate.severity: no rule {rule!r}; did you mean 'same_image'?"
    ]


def test_the_rules_are_those_that_are_checked() -> None:
    assert set(RULES) == set(DEFAULTS)


def test_a_choice_is_answered_with_the_nearest(tree: Tree) -> None:
    assert refusal(tree("backend: tensorflow", "backend: tensorlow")) == [
        "backend: got 'tensorlow', allowed: 'tensorflow' or 'jax'; did you mean 'tensorflow'?"
    ]


def test_files_are_found_as_python_finds_them() -> None:
    assert names.modules("heads") == tuple(
        sorted(path.stem for path in Path(*heads).glob("*.py") if path.stem != "__init__")
    )
    assert "pretrained/own" in names.modules("datasets")
    assert "shared" not in names.modules("datasets")
