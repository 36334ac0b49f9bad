"""README speaks of the repository as it is."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def tracked(*patterns: str) -> list[str]:
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    return subprocess.run(
        listed, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()


def test_the_tree_has_a_line_for_every_file() -> None:
    tree = README.partition("## The tree")[2].partition("## Adding things")[0]
    named = re.findall(r"^ *([\w.-]+\.\w+|Makefile) ", tree, re.MULTILINE)
    files = tracked(
        "bench/*.py", "fcn/*.py", "stages/*.py", "flows/*.py", "tables/*.yaml", "*.yaml", "*.toml"
    )
    wanted = {
        Path(file).name
        for file in files
        if not file.endswith("__init__.py") and not Path(file).name.startswith(".")
    }
    assert wanted - set(named) == set()
    assert set(named) - {Path(file).name for file in tracked()} == set()


def test_the_table_is_the_one_that_was_measured() -> None:
    begin, end = "a test holds this copy against the file -->\n", "\n<!-- end of data/tables"
    copy = README.partition(begin)[2].partition(end)[0].splitlines()
    report = (ROOT / "data/tables/digits.md").read_text("utf-8").splitlines()
    start = next(number for number, line in enumerate(report) if line.startswith("|"))
    assert copy == report[start : report.index("", start)]


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_make_target_it_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    named = set(re.findall(r"(?:`|\$ )make ([a-z-]+)", README))
    assert named
    assert [name for name in named if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []
