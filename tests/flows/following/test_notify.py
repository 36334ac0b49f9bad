"""What a webhook receives from flows on a real Prefect server."""

import logging
import socket
from typing import Any

import pytest
from prefect import flow
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Completed, Crashed, Failed
from prefect.types import SecretDict
from pydantic import SecretStr

from flows.following import notify
from tests.receiver import Receiver

pytestmark = pytest.mark.usefixtures("prefect_server")
LOG = logging.getLogger("test")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "PAUSES", (0.0,) * len(notify.PAUSES))


@pytest.fixture
def ending(request: pytest.FixtureRequest) -> Any:
    """A flow of this test alone that ends in the given state."""

    @flow(name=request.node.name, **notify.HOOKS)
    def end(state: str) -> "State[None]":
        return {"Failed": Failed, "Completed": Completed}[state](message=f"it {state.lower()}")

    return end


def test_each_failure_and_the_first_recovery_are_sent(receiver: Receiver, ending: Any) -> None:
    states = ["Failed", "Failed", "Completed", "Completed"]
    for state in states:
        ending(state, return_state=True)
    assert receiver.events() == ["failure", "failure", "recovery"]
    failure, _, recovery = receiver.received
    assert failure["text"].endswith(" failed: it failed")
    assert recovery["text"].endswith(" works again: it completed")
    with get_client(sync_client=True) as client:
        names = [run.name for run in client.read_flow_runs()]
    assert failure["flow_run"] in names
    assert failure["url"].startswith("http://127.0.0.1:")


def test_a_worker_reports_a_crash(receiver: Receiver, ending: Any) -> None:
    ending("Completed", return_state=True)
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(ending, parameters={"state": "Failed"})
        crash: State[Any] = Crashed(message="its process was killed")
        client.set_flow_run_state(run.id, crash, force=True)
    notify.notify_failure(ending, run, crash)  # as a worker calls it
    ending("Completed", return_state=True)
    assert receiver.events() == ["failure", "recovery"]
    assert receiver.received[0]["text"].endswith(" crashed: its process was killed")
    assert receiver.received[0]["flow_run"] == run.name


def test_the_previous_run_is_of_the_same_deployment(ending: Any) -> None:
    with get_client(sync_client=True) as client:
        flow_id = client.create_flow(ending)
        deployment = client.create_deployment(flow_id, "nightly")

        def ended(state: "State[Any]", deployment: Any = None) -> FlowRun:
            if deployment:
                run = client.create_flow_run_from_deployment(deployment)
            else:
                run = client.create_flow_run(ending, parameters={"state": "Failed"})
            client.set_flow_run_state(run.id, state, force=True)
            return client.read_flow_run(run.id)

        by_schedule = ended(Failed(), deployment)
        by_hand = ended(Completed())
        again = ended(Completed(), deployment)
    assert notify.previous(by_hand) is None
    before = notify.previous(again)
    assert before is not None
    assert before.id == by_schedule.id


def test_a_busy_webhook_is_asked_again(receiver: Receiver) -> None:
    receiver.answers = [503, 429]
    assert notify.send("promotion", "version 2 is champion", LOG)
    assert receiver.events() == ["promotion"] * 3


@pytest.mark.parametrize("code", [302, 404])
def test_a_refusal_is_logged_and_does_not_change_the_run(
    receiver: Receiver, ending: Any, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answers = [code]
    assert ending("Failed", return_state=True).message == "it failed"
    assert receiver.events() == ["failure"]
    assert f"failure not sent: 127.0.0.1 answered HTTP {code}" in caplog.text


def test_an_unreachable_webhook_is_logged_without_its_secret_address(
    ending: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as closed:  # bound, but it does not listen
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        monkeypatch.setenv(notify.VARIABLE, f"http://127.0.0.1:{port}/hooks/T0KEN")
        assert ending("Failed", return_state=True).is_failed()
    lines = [record.getMessage() for record in caplog.records]
    assert lines.count("failure not sent: 127.0.0.1 cannot be reached: ConnectionError") == 1
    assert "T0KEN" not in caplog.text


def test_without_a_webhook_the_log_says_how_to_set_one(
    ending: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv(notify.VARIABLE, raising=False)
    assert ending("Failed", return_state=True).is_failed()
    assert "failure not sent: set FCN_WEBHOOK or make the block webhook/fcn" in caplog.text


def test_a_block_of_the_server_is_a_webhook_with_headers(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(notify.VARIABLE)
    headers = SecretDict({"X-Token": "abc"})
    block = Webhook(url=SecretStr(receiver.url), headers=headers)
    block.save(notify.BLOCK, overwrite=True)
    try:
        assert notify.send("verdict", "digits changed", LOG)
    finally:
        _delete()
    assert receiver.headers[0]["X-Token"] == "abc"
    assert receiver.received[0]["text"] == "digits changed"


def _delete() -> None:
    with get_client(sync_client=True) as client:
        document = client.read_block_document_by_name(notify.BLOCK, "webhook")
        client.delete_block_document(document.id)


def test_the_unattended_flow_has_the_hooks() -> None:
    from flows.reproduce import reproduce

    assert reproduce.on_failure_hooks == reproduce.on_crashed_hooks == [notify.notify_failure]
    assert reproduce.on_completion_hooks == [notify.notify_recovery]
