"""The two servers: on this machine only, refused on a taken port, ended by Ctrl-C."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

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


def test_both_answer_on_this_machine_only_and_end_together(prefect_home: Path) -> None:
    ports = {"prefect": free_port(), "mlflow": free_port()}
    server = subprocess.Popen(
        command(**ports),
        cwd=ROOT,
        env=os.environ | {"PREFECT_HOME": str(prefect_home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdout is not None
    try:
        printed = "".join(iter(server.stdout.readline, "Ctrl-C ends both.\n"))
        for port in ports.values():
            assert f"http://127.0.0.1:{port}" in printed
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as page:
                assert page.status == 200
        children = psutil.Process(server.pid).children(recursive=True)
        heard = {
            (connection.laddr.ip, connection.laddr.port)
            for child in children
            for connection in child.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        }
        assert {("127.0.0.1", port) for port in ports.values()} <= heard
        assert {address for address, _ in heard} == {"127.0.0.1"}
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=120) == 0
        assert psutil.wait_procs(children, timeout=60)[1] == []
    finally:
        server.kill()
        server.stdout.close()
