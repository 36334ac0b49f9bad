"""What the project ships, apart from what a person added here and what runs changed.

    SHIPPED / "tables/digits.yaml"      # settings and results as the last commit has them
    lists("fcn/heads/fcn8s.py")         # whether a file is the project's own

Tests read settings and results in the folder SHIPPED. In the working tree runs change both:
`make reproduce` writes other numbers on another CPU, `dvc exp run -S` rewrites settings, and a
table of one's own is listed in dvc.yaml. Who changes code changes settings with it: if tracked code
differs from the commit, the settings are those of the working tree. Without Git, all are.

The tree in docs/architecture.md says which files are the project's own. What a person adds is not
in it, whether it is committed or not.
"""

import atexit
import io
import re
import shutil
import subprocess
import tarfile
import tempfile
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
CODE = ("fcn", "flows", "stages", "tests")
SETTINGS = ("dvc.yaml", "params.yaml", "prefect.yaml", "tables")
RESULTS = ("README.md", "data/tables")
STAGE = re.compile(r"^  (\w+):\n(?:(?: {4}.*)?\n)*", re.MULTILINE)
"""One stage of dvc.yaml, with its settings."""
VARS = re.compile(r"^vars:\n((?: +- \S+\n)*)", re.MULTILINE)
TREE = re.compile(r"<!-- tree\b[^\n]* -->\n```\n(.*?)\n```\n<!-- end -->", re.DOTALL)


@cache
def tree() -> dict[str, str]:
    """Return the text of each line of the tree, by path; a folder's path ends with a slash."""
    page = (ROOT / "docs/architecture.md").read_text("utf-8")
    match = TREE.search(page)
    assert match, "docs/architecture.md has no tree"
    texts, folders = {}, list[str]()
    for line in match.group(1).splitlines():
        indent, name, text = re.fullmatch(r"( *)(\S+) *(.*)", line).groups()  # type: ignore[union-attr]
        folders = folders[: len(indent) // 2]
        texts["".join([*folders, name])] = text
        if name.endswith("/"):
            folders.append(name)
    return texts


def lists(path: str) -> bool:
    """Whether the tree lists a file, by its path from the root."""
    return path in tree()


def names(folder: str, suffix: str = ".py") -> list[str]:
    """Return the names of the shipped modules, or other files, directly in a folder."""
    paths = [Path(path) for path in tree() if path.endswith(suffix)]
    return sorted(path.stem for path in paths if path.parent == Path(folder))


def git(*arguments: str) -> bytes | None:
    """Return what a Git command on the project prints, None where it fails or there is no Git."""
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


def _copy() -> Path:
    """Return a folder with the shipped settings and results; it is removed at exit."""
    folder = Path(tempfile.mkdtemp(prefix="shipped-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    committed = git("archive", "HEAD", *SETTINGS, *RESULTS)
    if committed is not None:
        with tarfile.open(fileobj=io.BytesIO(committed)) as archive:
            archive.extractall(folder, filter="data")
    edited = git("diff", "--name-only", "--diff-filter=DMR", "HEAD", "--", *CODE) != b""
    for name in SETTINGS if edited else ():
        _replace(folder, name)
    for name in RESULTS if committed is None else ():
        _replace(folder, name)
    for path in (folder / "tables").glob("*.yaml"):
        if not lists(f"tables/{path.name}"):
            path.unlink()
    graph = folder / "dvc.yaml"
    graph.write_text(shipped_graph(graph.read_text("utf-8")), "utf-8")
    return folder


def shipped_graph(text: str) -> str:
    """Return dvc.yaml without the tables and the stages that a person added."""
    active = [line for line in VARS.search(text)[1].splitlines() if lists(line.split()[-1])]  # type: ignore[index]
    listed = "\n".join(active or ["  - tables/digits.yaml"])
    text = VARS.sub(lambda _: f"vars:\n{listed}\n", text)
    return STAGE.sub(lambda stage: stage[0] if lists(f"stages/{stage[1]}.py") else "", text)


def _replace(folder: Path, name: str) -> None:
    """Take a file or a folder of the working tree."""
    source, target = ROOT / name, folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, target)


SHIPPED = _copy()
