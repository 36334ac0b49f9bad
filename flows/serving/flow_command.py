"""Run a flow from the command line."""

from collections.abc import Callable
from typing import Any

from fcn.common import messages
from fcn.runtime import collection
from flows.serving import temporary_server


def run(
    flow: Callable[..., Any],
    cancelled: str,
    meanwhile: Callable[[], object] = lambda: None,
    **parameters: Any,
) -> int:
    """Run a flow once and print its message; return the exit code.

    Args:
        flow: returns a state.
        cancelled: the message after Ctrl-C.
        meanwhile: called while a temporary Prefect server starts.
        parameters: those of the flow.
    """
    try:
        collection.pause()
        temporary_server.start_if_none(meanwhile)
        collection.resume()  # what has been imported is never looked at again
        state = flow(**parameters, return_state=True)
    except RuntimeError as error:
        messages.fail(str(error))
    except KeyboardInterrupt:
        print(cancelled)
        return messages.INTERRUPTED
    print(state.message)
    return 0 if state.is_completed() else 1
