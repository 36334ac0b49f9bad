"""docs/architecture.md describes the repository as it is.

`python -m tests.test_architecture` writes the tree and the diagram of the rooms again. The text
beside a Python file is the first sentence of its docstring; other texts are kept.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from itertools import pairwise

import pytest
from ruamel.yaml import YAML

from tests.shipped import ROOT, git, names, tree

PATH = ROOT / "docs/architecture.md"
PAGE = PATH.read_text("utf-8") if PATH.exists() else ""
TOP = ("Makefile", "pyproject.toml", "params.yaml", "dvc.yaml", "prefect.yaml")
FOLDERS = ("tables", "stages", "fcn", "flows", "bench", "deploy")
ADDITIONS = ("tables/", "stages/", "fcn/datasets/", "fcn/backbones/", "fcn/heads/")
"""Folders in which a person adds a file: a new one needs no line in the tree."""
WALKS = 6


def tracked() -> list[str]:
    """Return the paths of the files that the tree describes: those that Git tracks."""
    listed = git("ls-files", "--", *TOP, *FOLDERS)
    if not listed:
        pytest.skip("no Git repository, which says which files are tracked")
    return [
        path
        for path in listed.decode().splitlines()
        if (ROOT / path).is_file() and not path.endswith("__init__.py")
    ]


def layers(package: str) -> list[list[str]]:
    """Return the rooms of fcn or flows from top to bottom; those of one level together."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (rooms,) = (one["layers"] for one in contracts if one.get("containers") == [package])
    return [level.split(" | ") for level in rooms]


def diagram() -> str:
    """Return the rooms and their order of imports as a Mermaid flowchart."""
    flows, fcn = (
        [[f"{package}/{room}" for room in level] for level in layers(package)]
        for package in ("flows", "fcn")
    )
    edges = [*pairwise(flows), ([*flows[-1], "stages"], fcn[0]), *pairwise(fcn)]
    lines = [f"  {_nodes(upper)} --> {_nodes(lower)}" for upper, lower in edges]
    return "\n".join(["```mermaid", "flowchart TD", *lines, "```"])


def _nodes(rooms: list[str]) -> str:
    return " & ".join(f'{room.replace("/", "_")}["{room}"]' for room in rooms)


def between(name: str) -> str:
    match = re.search(rf"<!-- {name}\b[^\n]* -->\n(.*?)\n<!-- end -->", PAGE, re.DOTALL)
    assert match, name
    return match.group(1)


def summary(path: str) -> str | None:
    """Return the first sentence of a Python file's docstring, None for other files."""
    if not path.endswith(".py"):
        return None
    docstring = ast.get_docstring(ast.parse((ROOT / path).read_text("utf-8"))) or ""
    return docstring.split("\n\n")[0].replace("\n", " ").split(". ")[0].rstrip(".:")


def test_the_tree_names_every_shipped_file_and_no_other() -> None:
    files = set(tracked())
    in_tree = {path for path in tree() if not path.endswith("/")}
    assert sorted(in_tree - files) == []
    assert sorted(path for path in files - in_tree if not path.startswith(ADDITIONS)) == []


def test_the_tree_describes_each_file_and_folder_as_its_docstring_does() -> None:
    texts = tree()
    assert [path for path, text in texts.items() if not text] == []
    outdated = {path for path, text in texts.items() if summary(path) not in (None, text)}
    assert outdated == set(), "python -m tests.test_architecture writes the tree again"


def test_the_diagram_of_the_rooms_is_the_order_that_is_enforced() -> None:
    assert between("rooms") == diagram()


def test_the_data_flow_has_the_stages_of_the_graph() -> None:
    stages = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
    shipped = {*stages} & {*names("stages")}  # a person may have added others
    assert set(re.findall(r'\b(\w+)\["', between("flow"))) == shipped


def test_each_walk_leads_to_a_function() -> None:
    walks = re.findall(r"^\| [^|]+\? \| [^|]+ \| `([^`]+)` \| `(\w+)` \|$", PAGE, re.MULTILINE)
    assert len(walks) >= WALKS
    for path, function in walks:
        assert re.search(rf"(def|class) {function}\b|^{function} =", source(path), re.MULTILINE), (
            path
        )


def source(path: str) -> str:
    return (ROOT / path).read_text("utf-8")


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", PAGE)
    assert [link for link in links if not (PATH.parent / link).exists()] == []


def new_tree() -> Iterator[str]:
    """Yield the lines of the tree; texts that no docstring has are kept."""
    texts, files = tree(), tracked()
    rooms = [room for level in layers("fcn") for room in level]

    def lines(folder: str, depth: int) -> Iterator[str]:
        inside = [path.removeprefix(folder) for path in files if path.startswith(folder)]
        names = sorted({name.partition("/")[0] + "/" * ("/" in name) for name in inside})
        if folder == "fcn/":
            names.sort(key=lambda name: rooms.index(name[:-1]) if name[:-1] in rooms else -1)
        elif folder == "":
            names = [*TOP, *(f"{name}/" for name in FOLDERS)]
        else:
            names.sort(key=lambda name: name.endswith("/"))
        width = max(len(name) for name in names)
        for name in names:
            path = folder + name
            yield f"{'  ' * depth}{name:{width}}  {summary(path) or texts.get(path, '')}".rstrip()
            if name.endswith("/"):
                yield from lines(path, depth + 1)

    return lines("", 0)


def write() -> None:
    """Write the tree and the diagram of the rooms again."""
    page = PAGE.replace(between("tree"), "\n".join(["```", *new_tree(), "```"]))
    page = page.replace(between("rooms"), diagram())
    PATH.write_text(page, "utf-8")


if __name__ == "__main__":
    write()
