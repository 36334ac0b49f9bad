"""Ctrl-C and SIGTERM: a command ends with one line, and files that belong together are complete."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import NoReturn

from fcn.common import messages
from fcn.runtime import processes

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def explain_unhandled() -> None:
    """Print one line, not a traceback, if Ctrl-C arrives where nothing catches it.

    Imports take seconds and begin before a command can catch anything.
    """
    show = sys.excepthook

    def explain(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, KeyboardInterrupt):
            end_at_once()
            messages.exit_interrupted(error)
        show(kind, error, traceback)

    sys.excepthook = explain


def end_on_sigterm() -> None:
    """Let SIGTERM end this process as Ctrl-C does, unless it is ignored."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _terminate)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    processes.end_without_parent()
    raise messages.Terminated


def end_at_once() -> None:
    """Let both signals end the process without a traceback: call this when only Python must end."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def delayed() -> Iterator[None]:
    """Let both signals wait until the block has ended: for files that belong together."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python handles signals in the main thread alone.
        return
    pending: list[int] = []
    handlers = {
        number: signal.signal(number, lambda received, _: pending.append(received))
        for number in SIGNALS
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if pending:
        signal.raise_signal(pending[0])
