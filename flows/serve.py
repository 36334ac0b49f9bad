"""Serve Prefect, MLflow and a worker on this machine until Ctrl-C or `make stop`.

    python -m flows.serve [--prefect-port 4200] [--mlflow-port 5000] [--host 127.0.0.1]
    python -m flows.serve --deploy          # deploy prefect.yaml to the running server
    python -m flows.serve --stop

A server that ends is started again. Logs: .serve/*.log. Beyond loopback (`--host 0.0.0.0`), both
servers ask for a password.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from types import FrameType
from typing import Annotated, NoReturn

from typer import Option

from fcn.cli import command_line
from flows.serving import ports, servers, state
from flows.serving.server_process import ServerProcess

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Both end `serve`, which is how it is meant to end: with exit code 0."""


def serve(address: servers.Address) -> None:
    """Run all three until SIGINT or SIGTERM; start again the ones that end.

    Raises:
        ValueError: a port is taken, this workspace is served already, or a server does not start.
    """
    ports.require_free(address.host, address.prefect_port, "Prefect")
    ports.require_free(address.host, address.mlflow_port, "MLflow")
    with ExitStack() as stack:
        pages = f"{address.prefect} and {address.mlflow}"
        stack.enter_context(state.register(pages, f"{address.prefect}/api"))
        password, is_new = (None, False) if address.loopback else state.secret("password")
        running = [ServerProcess(server) for server in servers.define(address, password)]
        for process in running:
            stack.callback(process.end)  # the worker ends first, then the servers that it needs
        *two, worker = running
        for process in two:
            process.start()
        for process in two:
            process.require_ready()
        worker.start()
        worker.require_ready()
        if is_new:
            print(f"Password  {password} of the user {servers.USER}, shown only once")
        print(f"Prefect   {address.prefect}    export PREFECT_API_URL={address.prefect}/api")
        print(f"MLflow    {address.mlflow}    export MLFLOW_TRACKING_URI={address.mlflow}")
        print(f"Worker    of the pool {servers.POOL}    next step, once: make deploy")
        print("Ctrl-C or `make stop` ends all three.", flush=True)
        restart_for_ever(running)


def restart_for_ever(running: Sequence[ServerProcess]) -> NoReturn:
    """Start each server again that ends.

    Raises:
        ValueError: one was started too often.
    """
    while True:
        for process in running:
            if process.ended:
                print(f"{process.server.name} has ended; starting it again", flush=True)
                process.start()
                if not process.wait():
                    break  # check from the first one again: the next ones may need it
        time.sleep(0.5)


def deploy() -> int:
    """Deploy prefect.yaml to the server of this workspace; return the exit code.

    Raises:
        ValueError: no process serves it.
    """
    env = os.environ | {"PREFECT_API_URL": state.api()}
    if (state.FOLDER / "password").is_file():  # a server on loopback ignores it
        env["PREFECT_API_AUTH_STRING"] = f"{servers.USER}:{state.secret('password')[0]}"
    command = [sys.executable, "-P", "-m", "prefect", "--no-prompt", "deploy", "--all"]
    return subprocess.run(command, cwd=servers.ROOT, env=env, check=False).returncode


def main(
    host: Annotated[str, Option(help="Address to listen on.")] = "127.0.0.1",
    prefect_port: Annotated[int, Option(help="Port of Prefect.")] = 4200,
    mlflow_port: Annotated[int, Option(help="Port of MLflow.")] = 5000,
    deployment: Annotated[
        bool, Option("--deploy", help="Deploy prefect.yaml to the running server.")
    ] = False,
    stop: Annotated[bool, Option("--stop", help="End the servers of this workspace.")] = False,
) -> int:
    """Serve until Ctrl-C or SIGTERM; return the exit code."""
    if stop:
        print(state.stop())
        return 0
    if deployment:
        return deploy()
    for number in SIGNALS:  # a shell's background job ignores SIGINT
        signal.signal(number, _end)
    try:
        serve(servers.Address(host, prefect_port, mlflow_port))
    except KeyboardInterrupt:
        print("ended all three")
    return 0


def _end(number: int, frame: FrameType | None) -> NoReturn:
    for each in SIGNALS:  # Ending takes seconds; a second Ctrl-C must not break it off.
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    command_line.run(main, outlives_parent=True)
