"""Every bound on a release that pyproject.toml sets has its reason, and a test that notices."""

import re
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from importlib import metadata
from itertools import chain

import pytest
from packaging.requirements import Requirement
from prefect.server.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.types import _datetime

from tests.shipped import ROOT

PAGE = (ROOT / "docs/decisions/0016-pins.md").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def bounds() -> Iterator[str]:
    """Yield each requirement of the project that excludes newer releases."""
    extras = PROJECT.get("optional-dependencies", {}).values()
    for text in chain(PROJECT["dependencies"], *extras):
        specifier = Requirement(text).specifier
        if any(bound.operator in ("<", "<=", "==", "~=") for bound in specifier):
            yield text.partition(";")[0].replace("[and-cuda]", "").strip()


@pytest.mark.parametrize("bound", sorted({*bounds()}))
def test_a_bound_has_its_reason_and_a_test(bound: str) -> None:
    (row,) = (line for line in PAGE.splitlines() if line.startswith("|") and f"`{bound}`" in line)
    path, test = re.findall(r"`(tests/\S+\.py)::(\w+)`", row)[0]
    assert f"def {test}(" in (ROOT / path).read_text("utf-8")


def test_prefects_server_computes_the_runs_of_both_kinds_of_schedule() -> None:
    """With an older `whenever`, cron schedules of Prefect 3.9.1 end in an error and run nothing."""
    start = _datetime.now("UTC")
    for schedule in (
        CronSchedule(cron="0 2 * * *", timezone="UTC"),
        CronSchedule(cron="0 2 * * *", timezone="Europe/Berlin"),
        IntervalSchedule(interval=timedelta(seconds=20)),
    ):
        first, second = schedule._get_dates_generator(n=2, start=start)
        assert start <= first < second


def test_prefect_excludes_the_releases_of_fastapi_that_break_its_server() -> None:
    requirements = map(Requirement, metadata.requires("prefect") or ())
    (fastapi,) = (one for one in requirements if one.name == "fastapi")
    assert not fastapi.specifier.contains("0.155.0")


def test_yaml_has_its_parser_in_c() -> None:
    """Without it, DVC takes four times as long to read dvc.lock."""
    assert metadata.version("ruamel.yaml.clib")


@pytest.mark.parametrize(
    ("machine", "system", "tag"),
    [
        ("x86_64", "linux", "manylinux"),
        ("aarch64", "linux", "manylinux"),
        ("arm64", "darwin", "macosx"),
    ],
)
def test_the_extra_cpu_has_a_build_of_tensorflow(machine: str, system: str, tag: str) -> None:
    environment = {"platform_machine": machine, "sys_platform": system}
    (name,) = (
        requirement.name
        for requirement in map(Requirement, PROJECT["optional-dependencies"]["cpu"])
        if requirement.marker is None or requirement.marker.evaluate(environment)
    )
    locked = tomllib.loads((ROOT / "uv.lock").read_text("utf-8"))["package"]
    (package,) = (package for package in locked if package["name"] == name)
    urls = [wheel["url"] for wheel in package["wheels"]]
    assert any(re.search(rf"-cp313-{tag}\w*_{machine}\.whl$", url) for url in urls)
