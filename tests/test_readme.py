"""README describes the repository as it is."""

import re

from fcn.common import files
from fcn.samples import shipped
from tests.shipped import ROOT, SHIPPED

README = (ROOT / "README.md").read_text("utf-8")


def test_the_table_is_the_one_that_was_measured() -> None:
    """In the last commit: in the working tree a run may have measured other numbers."""
    begin, end = "a test holds this copy against the file -->\n", "\n<!-- end of data/tables"
    readme = (SHIPPED / "README.md").read_text("utf-8")
    copy = readme.partition(begin)[2].partition(end)[0].splitlines()
    report = (SHIPPED / "data/tables/digits.md").read_text("utf-8").splitlines()
    start = next(number for number, line in enumerate(report) if line.startswith("|"))
    assert copy == report[start : report.index("", start)]


def test_printed_predictions_name_the_model_that_ships() -> None:
    pages = README + (ROOT / "docs/use.md").read_text("utf-8")
    named = set(re.findall(r"shipped with fcn, SHA-256 (\w+)", pages))
    assert named == {files.sha256(shipped.model())[:12]}


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_make_target_that_it_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"(?:`|\$ )make ([a-z-]+)", README))
    assert targets
    assert [name for name in targets if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []


def test_every_command_that_it_names_exists() -> None:
    modules = set(re.findall(r"python -m ((?:fcn|flows|stages|bench)[\w.]*)", README))
    paths = [ROOT / module.replace(".", "/") for module in modules]
    assert paths
    assert [p for p in paths if not (p.with_suffix(".py").exists() or p.is_dir())] == []
