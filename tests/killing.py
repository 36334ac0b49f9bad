"""Kill an action at every moment that it has."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any


def before_each_call(prepare: Callable[[], Any], act: Callable[[], Any]) -> Iterator[None]:
    """Prepare, then kill `act` before its first, second, third … call of a C function.

    Yields after each death, and a last time after it lived to its end. It forks, so call it in a
    process that has no threads.
    """
    moment, died = 0, True
    while died:
        moment += 1
        prepare()
        if os.fork() == 0:
            calls = 0

            def kill(frame: Any, event: str, argument: Any) -> None:
                nonlocal calls
                calls += event == "c_call"
                if calls == moment:  # noqa: B023  this process sees one moment only
                    os.kill(os.getpid(), signal.SIGKILL)

            sys.setprofile(kill)
            act()
            sys.setprofile(None)
            os._exit(0)
        died = os.wait()[1] == signal.SIGKILL
        yield
