"""`flows.serve` when it is refused; tests/services runs real servers."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import interrupts
from tests.waiting import SECONDS

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
        command(**ports), cwd=ROOT, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: port {taken} ")
    assert f"--{name}-port" in done.stderr


@pytest.mark.parametrize("option", ["--stop", "--deploy"])
def test_stop_and_deploy_say_that_no_process_serves(option: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", IN_AN_EMPTY_FOLDER, str(tmp_path), option],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "no process serves this workspace" in done.stdout + done.stderr
    assert done.returncode == (0 if option == "--stop" else 1)


IN_AN_EMPTY_FOLDER = """
import sys
from pathlib import Path
from flows import serve
from fcn.cli import command_line
from flows.serving import state
state.FOLDER = Path(sys.argv.pop(1))
command_line.run(serve.main)
"""


STANDING_IN = """
import signal, sys
from fcn.cli import command_line
from flows import serve

def work(*address):
    try:
        print("working", flush=True)
        signal.pause()
    finally:
        print("ending", flush=True)
        sys.stdin.readline()

serve.serve = serve.deploy = work
command_line.run(serve.main)
"""


@pytest.mark.parametrize(
    ("options", "code", "shown"), [([], 0, "ended all three\n"), (["--deploy"], 130, "")]
)
def test_ctrl_c_ends_the_servers_but_interrupts_a_deployment(
    options: list[str], code: int, shown: str
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STANDING_IN, *options],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=interrupts.heed,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "working\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "ending\n"
        if not options:
            process.send_signal(signal.SIGINT)  # Does not break off the ending.
        ended = process.communicate("\n", timeout=300)
    assert process.returncode == code
    assert ended == (shown, "interrupted\n" if options else "")
