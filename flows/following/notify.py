"""Notifications through a webhook.

    export FCN_WEBHOOK=https://…        # or Prefect's block `webhook/fcn`, which can hold headers

Events: a run failed or crashed, a run succeeded after a failed one, another model is in use, a
verdict changed. Each is a POST of JSON, whose `text` chat programs show. A missing webhook, or one
that does not answer, never fails a run; the log names the reason.
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
from prefect.runtime import flow_run as current_run
from prefect.utilities.urls import url_for
from pydantic import SecretStr

from flows.serving import temporary_server

VARIABLE, BLOCK = "FCN_WEBHOOK", "fcn"
SECONDS = 5.0
"""How long the webhook may take to connect, and to answer."""
PAUSES = (0.0, 1.0, 2.0)
"""Seconds before each attempt."""
BUSY = (408, 429, 500, 502, 503, 504)
"""HTTP codes after which a retry may succeed."""
Log = logging.Logger | logging.LoggerAdapter[logging.Logger]


def send(event: str, text: str, log: Log, run: FlowRun | None = None) -> bool:
    """POST one event to the webhook; return whether it was accepted.

    Args:
        event: `failure`, `recovery`, `promotion` or `verdict`.
        text: what happened, in words.
        log: gets a line about the outcome.
        run: the flow run that the event is about; the current one if it is left out.
    """
    hook = webhook()
    if hook is None:
        log.info("%s not sent: set %s or make the block webhook/%s", event, VARIABLE, BLOCK)
        return False
    identity, page = run.id if run else current_run.id, None
    if identity and not temporary_server.in_use():  # its pages end with the run
        page = url_for("flow-run", obj_id=identity)
    content = {
        "event": event,
        "text": text,
        "flow_run": run.name if run else current_run.name,
        "url": page,
    }
    host = urlsplit(hook.url.get_secret_value()).hostname  # the rest is often a secret
    for pause in PAUSES:
        time.sleep(pause)
        try:
            code = _post(hook, content)
        except (requests.ConnectionError, requests.Timeout) as error:
            reason = f"cannot be reached: {type(error).__name__}"
        except requests.RequestException as error:
            reason = f"cannot be used: {type(error).__name__}"
            break
        else:
            if code < 300:
                log.info("%s sent to %s", event, host)
                return True
            reason = f"answered HTTP {code}"
            if code not in BUSY:
                break
    log.warning("%s not sent: %s %s", event, host, reason)
    return False


def _post(hook: Webhook, content: dict[str, Any]) -> int:
    """Return the HTTP code of the answer; a redirect is not followed."""
    # Not the block's own `call`: it takes no time-out.
    return requests.request(
        hook.method,
        hook.url.get_secret_value(),
        json=content,
        headers=hook.headers.get_secret_value(),
        timeout=SECONDS,
        verify=hook.verify,
        allow_redirects=False,
    ).status_code


def webhook() -> Webhook | None:
    """Return the webhook of the environment variable or of the server's block, if there is one."""
    if address := os.environ.get(VARIABLE):
        return Webhook(url=SecretStr(address))
    try:
        block = Webhook.load(BLOCK)
    except ValueError:  # there is no such block
        return None
    assert isinstance(block, Webhook)
    return block


def notify_failure(flow: "Flow[..., Any]", run: FlowRun, state: "State[Any]") -> None:
    """Report a run that failed or crashed."""
    text = f"{flow.name} {state.name.lower() if state.name else 'failed'}: {state.message}"
    send("failure", text, flow_run_logger(run, flow), run)


def notify_recovery(flow: "Flow[..., Any]", run: FlowRun, state: "State[Any]") -> None:
    """Report a successful run if the one before it failed."""
    before = previous(run)
    if before is not None and before.state_type in (StateType.FAILED, StateType.CRASHED):
        text = f"{flow.name} works again: {state.message}"
        send("recovery", text, flow_run_logger(run, flow), run)


def previous(run: FlowRun) -> FlowRun | None:
    """Return the previous finished run of the same deployment, or of the flow by hand."""
    ended = [StateType.COMPLETED, StateType.FAILED, StateType.CRASHED]
    deployment: dict[str, Any] = {"is_null_": True}
    if run.deployment_id:
        deployment = {"any_": [run.deployment_id]}
    finished = FlowRunFilter.model_validate(
        {"state": {"type": {"any_": ended}}, "deployment_id": deployment}
    )
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(
            flow_filter=FlowFilter.model_validate({"id": {"any_": [run.flow_id]}}),
            flow_run_filter=finished,
            sort=FlowRunSort.END_TIME_DESC,
            limit=2,
        )
    return next((other for other in runs if other.id != run.id), None)


HOOKS: dict[str, Any] = {
    "on_failure": [notify_failure],
    "on_crashed": [notify_failure],
    "on_completion": [notify_recovery],
}
"""Arguments for the decorator of a flow that runs unattended."""
