"""Messages to the person at the terminal: progress, errors that they can act on, and exit codes."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""

NEXT = {
    errno.ENOSPC: "no space is left; free some and run again: incomplete files were removed",
    errno.EDQUOT: "the disk quota is used up; free some space and run again",
    errno.EFBIG: "the file is larger than this system allows; raise the limit (`ulimit -f`)",
    errno.EACCES: "permission denied; make the folder writable for you and run again",
    errno.EROFS: "the file system is read-only; run from a writable folder",
}


class TryLater(ValueError):
    """An error that may not occur again: a lost connection, a busy server."""


@contextmanager
def explaining() -> Iterator[None]:
    """Turn errors that a person can cause into one message and an exit code.

    `ValueError` and `OSError` exit with 1, `TryLater` with 75, Ctrl-C with 130.
    """
    try:
        yield
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except OSError as error:
        fail(_explain(error))
    except TryLater as error:
        fail(str(error), os.EX_TEMPFAIL)
    except ValueError as error:
        fail(str(error))


def fail(message: str, code: int = 1) -> NoReturn:
    """Print `error: …` on stderr and exit with `code`."""
    print(f"error: {message}", file=sys.stderr)
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
