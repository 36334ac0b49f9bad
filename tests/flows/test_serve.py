"""Serving is refused before anything starts; tests/services has what serves."""

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flows import running, serve, servers

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command(prefect: int, mlflow: int) -> list[str]:
    ports = ["--prefect-port", str(prefect), "--mlflow-port", str(mlflow)]
    return [sys.executable, "-u", "-m", "flows.serve", *ports]


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


@pytest.mark.parametrize("name", ["prefect", "mlflow"])
def test_a_taken_port_is_refused_with_one_message(name: str, taken: int) -> None:
    ports = {"prefect": free_port(), "mlflow": free_port()} | {name: taken}
    done = subprocess.run(
        command(**ports), cwd=ROOT, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: port {taken} ")
    assert f"--{name}-port" in done.stderr


@pytest.mark.parametrize("how", ["--stop", "--deploy"])
def test_where_nobody_serves_there_is_nothing_to_do(how: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NOBODY, str(tmp_path), how],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "nobody serves this workspace" in done.stdout + done.stderr
    assert done.returncode == (0 if how == "--stop" else 1)


NOBODY = """
import sys
from pathlib import Path
from flows import running, serve
running.FOLDER = Path(sys.argv.pop(1))
serve.main()
"""


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
    ],
)
def test_only_this_machine_needs_no_password(host: str, loopback: bool) -> None:
    address = servers.Address(host, 1, 2)
    assert address.loopback == loopback
    if not loopback:
        with pytest.raises(AssertionError, match="password"):
            servers.all_three(address, None)


@pytest.fixture
def serving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., serve.Serving]:
    """What serves a program of the test's own."""
    monkeypatch.setattr(running, "FOLDER", tmp_path)

    def make(command: list[str], **given: Any) -> serve.Serving:
        server = servers.Server("Toy", command, {}, lambda: False)
        return serve.Serving(replace(server, **given))

    return make


def test_what_ends_while_it_starts_is_started_again_but_not_for_ever(
    serving: Callable[..., serve.Serving],
) -> None:
    one = serving(["no_such_module"])
    one.start()
    with pytest.raises(ValueError, match=r"(?s)Toy did not start; the end of .*no_such_module"):
        one.require_ready()
    for _ in range(serve.STARTS - 1):
        assert one.ended
        one.start()
        assert not one.wait()
    with pytest.raises(ValueError, match=f"Toy ended {serve.STARTS} times"):
        one.start()


def test_what_needs_a_server_that_is_away_waits_for_its_turn(
    serving: Callable[..., serve.Serving],
) -> None:
    def away() -> None:
        servers.worker(servers.Address("127.0.0.1", free_port(), 1), None).prepare()

    one = serving(["http.server", str(free_port())], prepare=away)
    one.start()
    assert one.ended
    assert not one.wait()
