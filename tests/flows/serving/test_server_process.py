"""Starting a server, once and again."""

import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flows.serving import servers, state
from flows.serving.server_process import MAX_STARTS, ServerProcess


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def server_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ServerProcess]:
    """Makes the process of a server that runs this command."""
    monkeypatch.setattr(state, "FOLDER", tmp_path)

    def make(command: list[str], **changes: Any) -> ServerProcess:
        server = servers.Server("Toy", command, {}, lambda: False)
        return ServerProcess(replace(server, **changes))

    return make


def test_a_server_that_ends_while_it_starts_is_started_a_limited_number_of_times(
    server_process: Callable[..., ServerProcess],
) -> None:
    toy = server_process(["no_such_module"])
    toy.start()
    with pytest.raises(ValueError, match=r"(?s)Toy did not start; the end of .*no_such_module"):
        toy.require_ready()
    for _ in range(MAX_STARTS - 1):
        assert toy.ended
        toy.start()
        assert not toy.wait()
    with pytest.raises(ValueError, match=f"Toy ended {MAX_STARTS} times"):
        toy.start()


def test_a_server_whose_preparation_fails_is_not_started(
    server_process: Callable[..., ServerProcess],
) -> None:
    def prepare() -> None:
        servers.worker(servers.Address("127.0.0.1", free_port(), 1), None).prepare()

    toy = server_process(["http.server", str(free_port())], prepare=prepare)
    toy.start()
    assert toy.ended
    assert not toy.wait()
