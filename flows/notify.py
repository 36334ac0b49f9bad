"""Tell a person what they want to hear of at night, through a webhook.

    export FCN_WEBHOOK=https://…        # or Prefect's block `webhook/fcn`, which can hold headers

What is told: a run that failed or crashed, the first one that went well after it, a model put in
use, a verdict that changed. Each is a POST of JSON; `text` is what chat programs show. Nobody who
listens, or nobody who answers, fails no run: the log says so.
"""

import logging
import os
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
from urllib3 import Retry

from flows import temporary_server

VARIABLE, BLOCK = "FCN_WEBHOOK", "fcn"
SECONDS = 5.0
"""How long the listener may take to connect, and to answer."""
TRIES = Retry(
    total=3,
    backoff_factor=0.5,  # waits 0, 1 and 2 s
    status_forcelist=[429, 500, 502, 503, 504],
    allowed_methods=None,  # a message told twice is better than none
    respect_retry_after_header=False,  # a listener does not decide how long a run waits
    redirect=0,
)
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
    address = hook.url.get_secret_value()
    host = urlsplit(address).hostname  # the rest of it is often a secret
    with requests.Session() as session:
        for scheme in ("http://", "https://"):
            session.mount(scheme, requests.adapters.HTTPAdapter(max_retries=TRIES))
        try:
            answer = session.request(
                hook.method,
                address,
                json=content,
                headers=hook.headers.get_secret_value(),
                timeout=SECONDS,
                verify=hook.verify,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            kind = type(error).__name__
            log.warning("%s could not be told of this %s: %s", host, event, kind)
            return False
    if answer.status_code >= 300:
        log.warning("%s refused to hear of this %s: HTTP %s", host, event, answer.status_code)
        return False
    log.info("%s was told of this %s", host, event)
    return True


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
