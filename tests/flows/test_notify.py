"""What a listener hears of flows on a real server."""

import logging
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from prefect import flow
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Completed, Crashed, Failed
from prefect.types import SecretDict
from pydantic import SecretStr

from flows import notify
from tests.receiver import Receiver, receiving

pytestmark = pytest.mark.usefixtures("prefect_server")
LOG = logging.getLogger("test")


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as opened:
        monkeypatch.setenv(notify.VARIABLE, opened.url)
        yield opened


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "PAUSES", (0.0,) * len(notify.PAUSES))


@pytest.fixture
def night(request: pytest.FixtureRequest) -> Any:
    """A flow of this test's own that ends as it is told to."""

    @flow(name=request.node.name, **notify.HOOKS)
    def ending(state: str) -> "State[None]":
        return {"Failed": Failed, "Completed": Completed}[state](message=f"it {state.lower()}")

    return ending


def test_a_failure_and_the_recovery_after_it_are_told_once(receiver: Receiver, night: Any) -> None:
    states = ["Failed", "Failed", "Completed", "Completed"]
    for state in states:
        night(state, return_state=True)
    assert receiver.events() == ["failure", "failure", "recovery"]
    failure, _, recovery = receiver.heard
    assert failure["text"].endswith(" failed: it failed")
    assert recovery["text"].endswith(" works again: it completed")
    with get_client(sync_client=True) as client:
        names = [one.name for one in client.read_flow_runs()]
    assert failure["flow_run"] in names
    assert failure["url"].startswith("http://127.0.0.1:")


def test_a_crash_is_told_by_whoever_found_it(receiver: Receiver, night: Any) -> None:
    night("Completed", return_state=True)
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(night, parameters={"state": "Failed"})
        crash: State[Any] = Crashed(message="its process was killed")
        client.set_flow_run_state(run.id, crash, force=True)
    notify.failed(night, run, crash)  # as a worker calls it
    night("Completed", return_state=True)
    assert receiver.events() == ["failure", "recovery"]
    assert receiver.heard[0]["text"].endswith(" crashed: its process was killed")
    assert receiver.heard[0]["flow_run"] == run.name


def test_another_deployments_failure_is_not_this_ones(night: Any) -> None:
    with get_client(sync_client=True) as client:
        flow_id = client.create_flow(night)
        deployment = client.create_deployment(flow_id, "nightly")

        def ended(state: "State[Any]", deployment: Any = None) -> FlowRun:
            if deployment:
                run = client.create_flow_run_from_deployment(deployment)
            else:
                run = client.create_flow_run(night, parameters={"state": "Failed"})
            client.set_flow_run_state(run.id, state, force=True)
            return client.read_flow_run(run.id)

        at_night = ended(Failed(), deployment)
        by_hand = ended(Completed())
        again = ended(Completed(), deployment)
    assert notify.previous(by_hand) is None
    before = notify.previous(again)
    assert before is not None
    assert before.id == at_night.id


def test_a_listener_that_is_busy_is_asked_again(receiver: Receiver) -> None:
    receiver.answers = [503, 429]
    assert notify.tell("promotion", "version 2 is champion", LOG)
    assert receiver.events() == ["promotion"] * 3


@pytest.mark.parametrize("code", [302, 404])
def test_a_refusal_is_said_and_fails_nothing(
    receiver: Receiver, night: Any, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answers = [code]
    assert night("Failed", return_state=True).message == "it failed"
    assert receiver.events() == ["failure"]
    assert f"127.0.0.1 refused to hear of this failure: HTTP {code}" in caplog.text


def test_nobody_there_is_said_without_the_secret_address(
    night: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as closed:  # bound, but nobody listens
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        monkeypatch.setenv(notify.VARIABLE, f"http://127.0.0.1:{port}/hooks/T0KEN")
        assert night("Failed", return_state=True).is_failed()
    said = [record.getMessage() for record in caplog.records if "told" in record.getMessage()]
    assert said == ["127.0.0.1 could not be told of this failure: ConnectionError"]
    assert "T0KEN" not in caplog.text


def test_without_a_listener_the_log_says_how_to_have_one(
    night: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv(notify.VARIABLE, raising=False)
    assert night("Failed", return_state=True).is_failed()
    assert "nobody is told of this failure: no FCN_WEBHOOK, no block webhook/fcn" in caplog.text


def test_a_block_of_the_server_is_a_listener_with_headers(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(notify.VARIABLE)
    headers = SecretDict({"X-Token": "abc"})
    block = Webhook(url=SecretStr(receiver.url), headers=headers)
    block.save(notify.BLOCK, overwrite=True)
    try:
        assert notify.tell("verdict", "digits changed", LOG)
    finally:
        _delete()
    assert receiver.headers[0]["X-Token"] == "abc"
    assert receiver.heard[0]["text"] == "digits changed"


def _delete() -> None:
    with get_client(sync_client=True) as client:
        found = client.read_block_document_by_name(notify.BLOCK, "webhook")
        client.delete_block_document(found.id)


def test_the_hooks_are_on_the_flow_that_works_at_night() -> None:
    from flows.reproduce import reproduce

    assert reproduce.on_failure_hooks == reproduce.on_crashed_hooks == [notify.failed]
    assert reproduce.on_completion_hooks == [notify.completed]
