"""Tell a person what they want to hear of at night, through a webhook.

    export FCN_WEBHOOK=https://…        # or Prefect's block `webhook/fcn`, which can hold headers

What is told: a run that failed or crashed, the first one that went well after it, a model put in
use, a verdict that changed. Each is a POST of JSON; `text` is what chat programs show. Nobody who
listens, or nobody who answers, fails no run: the log says so.
"""

import logging
import os
import time
from typing import Any
from urllib.parse import urlsplit

import requests
from prefect import Flow
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowFilter, FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.logging.loggers import flow_run_logger
from prefect.runtime import flow_run as running
from prefect.utilities.urls import url_for
from pydantic import SecretStr

from flows import temporary_server

VARIABLE, BLOCK = "FCN_WEBHOOK", "fcn"
SECONDS = 5.0
"""How long the listener may take to connect, and to answer."""
PAUSES = (0.0, 1.0, 2.0)
"""Seconds before each try."""
BUSY = (408, 429, 500, 502, 503, 504)
"""HTTP codes after which another try may go better."""
Log = logging.Logger | logging.LoggerAdapter[logging.Logger]


def tell(event: str, text: str, log: Log, run: FlowRun | None = None) -> bool:
    """POST one event; return whether somebody took it.

    Args:
        event: `failure`, `recovery`, `promotion` or `verdict`.
        text: what happened, for a person.
        log: where it is said that nobody listens.
        run: the flow run it is about; without it the one that is running.
    """
    hook = listener()
    if hook is None:
        log.info("nobody is told of this %s: no %s, no block webhook/%s", event, VARIABLE, BLOCK)
        return False
    identity, page = run.id if run else running.id, None
    if identity and not temporary_server.in_use():  # its pages are gone with it
        page = url_for("flow-run", obj_id=identity)
    content = {
        "event": event,
        "text": text,
        "flow_run": run.name if run else running.name,
        "url": page,
    }
    host = urlsplit(hook.url.get_secret_value()).hostname  # the rest of it is often a secret
    for pause in PAUSES:
        time.sleep(pause)
        try:
            code = _post(hook, content)
        except (requests.ConnectionError, requests.Timeout) as error:
            problem = f"could not be told of this {event}: {type(error).__name__}"
        except requests.RequestException as error:
            problem = f"cannot be told of this {event}: {type(error).__name__}"
            break
        else:
            if code < 300:
                log.info("%s was told of this %s", host, event)
                return True
            problem = f"refused to hear of this {event}: HTTP {code}"
            if code not in BUSY:
                break
    log.warning("%s %s", host, problem)
    return False


def _post(hook: Webhook, content: dict[str, Any]) -> int:
    """Return the HTTP code of the answer; another address that it names is not asked."""
    # Not the block's own `call`: it has no time-out of ours, and a client for one call only.
    return requests.request(
        hook.method,
        hook.url.get_secret_value(),
        json=content,
        headers=hook.headers.get_secret_value(),
        timeout=SECONDS,
        verify=hook.verify,
        allow_redirects=False,
    ).status_code


def listener() -> Webhook | None:
    """Return who is told: the variable's address, or the block's, or nobody."""
    if address := os.environ.get(VARIABLE):
        return Webhook(url=SecretStr(address))
    try:
        block = Webhook.load(BLOCK)
    except ValueError:  # Prefect's word for: there is none
        return None
    assert isinstance(block, Webhook)
    return block


def failed(flow: "Flow[..., Any]", run: FlowRun, state: "State[Any]") -> None:
    """Tell of a run that failed or crashed."""
    text = f"{flow.name} {state.name.lower() if state.name else 'failed'}: {state.message}"
    tell("failure", text, flow_run_logger(run, flow), run)


def completed(flow: "Flow[..., Any]", run: FlowRun, state: "State[Any]") -> None:
    """Tell of a run that went well if the one before it did not."""
    before = previous(run)
    if before is not None and before.state_type in (StateType.FAILED, StateType.CRASHED):
        text = f"{flow.name} works again: {state.message}"
        tell("recovery", text, flow_run_logger(run, flow), run)


def previous(run: FlowRun) -> FlowRun | None:
    """Return the last run of the same deployment (without one: of the same flow) that ended."""
    ended = [StateType.COMPLETED, StateType.FAILED, StateType.CRASHED]
    deployment: dict[str, Any] = {"is_null_": True}
    if run.deployment_id:
        deployment = {"any_": [run.deployment_id]}
    wanted = FlowRunFilter.model_validate(
        {"state": {"type": {"any_": ended}}, "deployment_id": deployment}
    )
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(
            flow_filter=FlowFilter.model_validate({"id": {"any_": [run.flow_id]}}),
            flow_run_filter=wanted,
            sort=FlowRunSort.END_TIME_DESC,
            limit=2,
        )
    return next((one for one in found if one.id != run.id), None)


HOOKS: dict[str, Any] = {
    "on_failure": [failed],
    "on_crashed": [failed],
    "on_completion": [completed],
}
"""What a flow that works at night is given."""
