"""Tracing a number of a finished project: the chain holds, and each broken link is named."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fcn.audit import explain, index
from fcn.cli import explain as command
from fcn.settings import dvc_lock
from tests.pipeline.conftest import Project

ROW = "digits-fcn8s"


@pytest.fixture(scope="module")
def committed(by_flow: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished project whose results are committed; its MLflow store is that of the original."""
    root = tmp_path_factory.mktemp("committed") / "project"
    shutil.copytree(by_flow.root, root)
    project = Project(root)
    project.run("git", "add", "-A")
    project.run("git", "commit", "-qm", "results")
    return root


@pytest.fixture(autouse=True)
def store(by_flow: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{by_flow.root / 'mlflow.db'}")


@pytest.fixture
def at(committed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The project; what a test changes in it is restored afterwards."""
    monkeypatch.chdir(committed)
    before = {path: path.read_bytes() for path in committed.rglob("*") if _is_restored(path)}
    yield committed
    for path, content in before.items():
        if not path.is_file() or path.read_bytes() != content:
            path.unlink(missing_ok=True)  # DVC links into its cache: never write through
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def _is_restored(path: Path) -> bool:
    kinds = {
        ".css",
        ".csv",
        ".md",
        ".json",
        ".yaml",
        ".parquet",
        ".keras",
        ".py",
        ".gz",
        ".lock",
        ".tfrecord",
    }
    hidden = any(part.startswith(".") for part in path.parts)
    return path.is_file() and path.suffix in kinds and not hidden


def broken(root: Path) -> dict[str, str]:
    """The broken links, by name."""
    links = explain.trace("digits", ROW, "mean_iou", root)
    return {link.name: link.problem for link in links if link.problem}


def overwrite(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def test_every_link_of_a_finished_project_holds(
    at: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert command.explain("digits", ROW, "mean_iou") == 0
    said = capfd.readouterr().err
    assert "every link holds" in said
    for name in ("vgg16", "fcn32s", "fcn16s", "fcn8s"):
        assert f"data/models/digits-{name}.keras" in said
    assert "package:sklearn" in said


def edited_number(root: Path) -> None:
    path = root / f"data/metrics/digits/{ROW}.json"
    content = json.loads(path.read_text("utf-8"))
    overwrite(path, json.dumps(content | {"mean_iou": 0.99}).encode())


def edited_file(name: str) -> Callable[[Path], None]:
    def edit(root: Path) -> None:
        overwrite(root / name, (root / name).read_bytes() + b"\n")

    return edit


def edited_setting(root: Path) -> None:
    path = root / "params.yaml"
    overwrite(path, path.read_bytes().replace(b"seed: 1337", b"seed: 1338"))


def removed(name: str) -> Callable[[Path], None]:
    return lambda root: (root / name).unlink()


def removed_folder(name: str) -> Callable[[Path], None]:
    return lambda root: shutil.rmtree(root / name)


@pytest.mark.parametrize(
    ("damage", "link", "problem"),
    [
        (edited_number, "metrics", "not the table's number"),
        (edited_number, "counts", "they give"),
        (edited_file(f"data/models/{ROW}.keras"), "model", "dvc checkout"),
        (edited_file("data/models/digits-vgg16.keras"), "model", "digits-vgg16"),
        (removed("data/models/digits-fcn16s.keras"), "model", "missing"),
        (edited_file("fcn/heads/fcn8s.py"), "settings, code", "fcn/heads/fcn8s.py changed"),
        (edited_setting, "settings, code", "seed in params.yaml changed"),
        (edited_file(f"data/models/{ROW}.keras"), "MLflow run", "MLFLOW_TRACKING_URI"),
        (edited_file("data/records/digits/labels.json"), "records", "dvc checkout"),
        (removed("data/reports/digits/valid.json"), "records", "valid.json"),
        (edited_file("data/raw/digits/digits.csv.gz"), "raw files", "dvc checkout"),
        (edited_file("data/raw/digits/digits.csv.gz"), "source", "another SHA-256"),
        (removed("data/raw/digits/digits.csv.gz"), "source", "digits.csv.gz is missing: `dvc "),
        (removed_folder("data/raw/digits"), "raw files", "data/raw/digits is missing: `dvc "),
        (edited_file("data/tables/digits.csv"), "table", "not what dvc.lock records"),
    ],
)
def test_a_broken_link_is_named(
    damage: Callable[[Path], None], link: str, problem: str, at: Path
) -> None:
    damage(at)
    assert problem in broken(at)[link]


def test_results_that_are_not_committed_break_no_link(
    by_flow: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(by_flow.root)
    assert broken(by_flow.root) == {}
    *_, commit = explain.trace("digits", ROW, "mean_iou", by_flow.root)
    assert "file(s) differ from it: data/" in commit.description
    assert index.show(write=False) == 0
    said = capfd.readouterr().err
    assert "| up to date |" in said
    assert "digits: its numbers differ from the last commit" in said


def test_an_unknown_table_row_or_metric_is_refused(at: Path) -> None:
    for names, message in (
        (("digits", "digits-fcn9s", "mean_iou"), "did you mean 'digits-fcn8s'"),
        (("digits", ROW, "mean_ioo"), "did you mean 'mean_iou'"),
        (("digitz", ROW, "mean_iou"), "did you mean 'digits'"),
    ):
        with pytest.raises(ValueError, match=message):
            list(explain.trace(*names, at))


def test_a_folder_has_the_hash_that_dvc_gives_it(at: Path) -> None:
    stage = dvc_lock.read(at)["train@digits-fcn8s"]
    assert stage.deps["data/records/digits"] == dvc_lock.md5(at / "data/records/digits", at)
    assert stage.deps["data/records/digits"].endswith(".dir")


def test_a_finished_table_is_up_to_date(at: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert list(index.stale("digits", at)) == []
    assert index.show(write=True) == 0
    assert "differ from the last commit" not in capfd.readouterr().err
    assert "| [digits](digits.md) | 3 | yes | up to date |" in (at / index.INDEX).read_text("utf-8")
    (at / index.INDEX).unlink()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (edited_file("fcn/network/layers.py"), "train@digits-fcn8s: fcn/network"),
        (
            edited_file("fcn/report/page/page.css"),
            "table@digits: fcn/report",
        ),
        (edited_setting, "convert@digits: seed in params.yaml changed"),
        (edited_file("data/tables/digits.md"), "data/tables/digits.md is not what it wrote"),
    ],
)
def test_a_stale_table_has_its_reason(
    damage: Callable[[Path], None], reason: str, at: Path
) -> None:
    damage(at)
    assert any(reason in line for line in index.stale("digits", at))


def test_an_inactive_table_is_checked_as_well(at: Path) -> None:
    graph = at / "dvc.yaml"
    overwrite(
        graph, graph.read_bytes().replace(b"  - tables/digits.yaml\n", b"  - tables/camvid.yaml\n")
    )
    assert list(index.stale("digits", at)) == []
    edited_file("fcn/scores/metrics.py")(at)
    assert any("fcn/scores" in reason for reason in index.stale("digits", at))


def test_a_stage_that_ran_again_makes_later_results_stale(at: Path) -> None:
    path = at / "dvc.lock"
    text = path.read_text("utf-8")
    md5 = dvc_lock.read(at)["train@digits-fcn16s"].outs["data/models/digits-fcn16s.keras"]
    made = text.index("train@digits-fcn16s:")
    out = text.index(md5, text.index("outs:", made))
    overwrite(path, (text[:out] + "0" * 32 + text[out + 32 :]).encode())
    reasons = list(index.stale("digits", at))
    assert any("train@digits-fcn16s has made another" in reason for reason in reasons)
    assert "has made another since" in broken(at)["model"]


def test_a_project_without_a_run_is_refused(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    with pytest.raises(ValueError, match="nothing ran here yet"):
        list(index.stale("digits", tmp_path))
