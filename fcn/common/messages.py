"""Messages to the person at the terminal: progress, errors that they can act on, and exit codes."""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

INTERRUPTED, TERMINATED = 130, 143
"""The exit codes after Ctrl-C and after SIGTERM, as shells have them: 128 + the signal's number."""

NEXT = {
    errno.ENOSPC: "no space is left; free some and run again: incomplete files were removed",
    errno.EDQUOT: "the disk quota is used up; free some space and run again",
    errno.EFBIG: "the file is larger than this system allows; raise the limit (`ulimit -f`)",
    errno.EACCES: "permission denied; make the folder writable for you and run again",
    errno.EROFS: "the file system is read-only; run from a writable folder",
}


class TryLater(ValueError):
    """An error that may not occur again: a lost connection, a busy server."""


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived; the command ends as after Ctrl-C."""


@contextmanager
def explaining() -> Iterator[None]:
    """Turn errors that a person can cause into one message and an exit code.

    `ValueError` and `OSError` exit with 1, `TryLater` with 75, Ctrl-C with 130, SIGTERM with 143.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        exit_interrupted(error)
    except OSError as error:
        fail(_explain(error))
    except TryLater as error:
        fail(str(error), os.EX_TEMPFAIL)
    except ValueError as error:
        fail(str(error))


@contextmanager
def interruptible(describe: Callable[[], str]) -> Iterator[None]:
    """Let Ctrl-C in the block end the command with `interrupted; ` and what `describe` returns.

    Of nested blocks the innermost describes; an empty text describes nothing.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        error.args = error.args or tuple(filter(None, [describe()]))
        raise


def exit_interrupted(error: KeyboardInterrupt) -> NoReturn:
    """Print one line on stderr and exit with 130, or with 143 after SIGTERM."""
    say("; ".join(["interrupted", *map(str, error.args)]))
    sys.exit(TERMINATED if isinstance(error, Terminated) else INTERRUPTED)


def fail(message: str, code: int = 1) -> NoReturn:
    """Print `error: …` on stderr and exit with `code`."""
    say(f"error: {message}")
    sys.exit(code)


def _explain(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    reason = NEXT.get(error.errno or 0, error.strerror or str(error))
    return f"{where}{reason}"


def say(text: str, *, last: bool = True) -> None:
    """Show progress: a line that replaces itself at a terminal, plain lines elsewhere."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="\n" if last else "", file=sys.stderr, flush=True)
    elif last:
        print(text, file=sys.stderr, flush=True)
