"""The settings' classes."""

import ast
from pathlib import Path

import pytest

FILES = sorted((Path(__file__).parents[3] / "fcn/settings").glob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_setting_is_documented(path: Path) -> None:
    classes = [node for node in ast.parse(path.read_text("utf-8")).body if is_settings(node)]
    undocumented = [
        f"{node.name}.{ast.unparse(field.target)}"
        for node in classes
        for field, after in zip(node.body, [*node.body[1:], None], strict=True)
        if isinstance(field, ast.AnnAssign) and not is_docstring(after)
    ]
    assert undocumented == []


def is_settings(node: ast.stmt) -> bool:
    return isinstance(node, ast.ClassDef) and "Settings" in map(ast.unparse, node.bases)


def is_docstring(node: ast.stmt | None) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
