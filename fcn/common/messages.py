"""The door of every command: its arguments, one clear message, and an end with its parent.

    main(__doc__, run, key=str, raw=Path, out=Path)

reads `KEY --raw PATH --out PATH` and calls `run(key, raw, out)`. What a person can cause
(`ValueError`, `OSError`) ends as `error: …` on stderr and exit code 1, without a traceback; what
another try may not meet again (`TryLater`) the same with exit code 75, at which a flow tries
again. The traceback of anything else is a fault of this project's and shown whole.
"""

import argparse
import errno
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from typing import NoReturn

import psutil

NEXT = {
    errno.ENOSPC: "no space is left; free some and run again: nothing half-written was kept",
    errno.EDQUOT: "the disk quota is used up; free some space and run again",
    errno.EFBIG: "the file is larger than this system allows; raise the limit (`ulimit -f`)",
    errno.EACCES: "permission denied; make the folder writable for you and run again",
    errno.EROFS: "the file system is read-only; run from a writable folder",
}

SHELLS = {"sh", "ash", "bash", "busybox", "dash", "fish", "ksh", "zsh"}
"""DVC runs a stage with the person's own ($SHELL), with sh where none is named."""


class TryLater(ValueError):
    """What went wrong may not go wrong again: a network that broke off, a server that is busy."""


def main(doc: str, run: Callable[..., None], **arguments: type) -> None:
    """Parse the command line, run, and exit: 0 done, 1 or 75 with a message, 2 on wrong usage.

    The first argument is positional, the others are options of the same name; a `bool` is a flag.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for number, (name, kind) in enumerate(arguments.items()):
        if number == 0:
            parser.add_argument(name, type=kind)
        elif kind is bool:
            parser.add_argument(f"--{name.replace('_', '-')}", action="store_true")
        else:
            parser.add_argument(f"--{name.replace('_', '-')}", type=kind, required=True)
    parsed = parser.parse_args()
    end_with_parent()
    with explaining():
        run(**{name: getattr(parsed, name) for name in arguments})


@contextmanager
def explaining() -> Iterator[None]:
    """End with one message where a person can do something about it."""
    try:
        yield
    except OSError as error:
        fail(_explain(error))
    except TryLater as error:
        fail(str(error), os.EX_TEMPFAIL)
    except ValueError as error:
        fail(str(error))


def fail(message: str, code: int = 1) -> NoReturn:
    """Print one message for the person and exit with `code`."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)


def _explain(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    reason = NEXT.get(error.errno or 0, error.strerror or str(error))
    return f"{where}{reason}"


def end_with_parent(seconds: float = 0.5) -> None:
    """End this process and its children when the process that started it is gone.

    DVC's own death (`kill -9`) would leave a training running and holding the GPU.
    """
    line = [os.getpid(), *_starters()]

    def watch() -> None:
        while all(_parent(child) == parent for child, parent in pairwise(line)):
            time.sleep(seconds)
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):  # It may have ended meanwhile.
                child.kill()
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="end-with-parent").start()


def _starters() -> list[int]:
    """Whose end is this process's end: its parent, and DVC behind the shell it runs a stage with.

    Some shells (dash) wait for their only command instead of becoming it, and outlive DVC.
    """
    line = [os.getppid()]
    if "DVC_STAGE" in os.environ:
        with suppress(psutil.NoSuchProcess):  # Gone already, which the watch sees.
            shell = psutil.Process(line[0])
            if shell.name() in SHELLS:
                line.append(shell.ppid())
    return line


def _parent(pid: int) -> int | None:
    try:
        return psutil.Process(pid).ppid()
    except psutil.NoSuchProcess:
        return None


def say(text: str, *, last: bool = True) -> None:
    """Show progress: a line that replaces itself at a terminal, plain lines elsewhere."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="\n" if last else "", file=sys.stderr, flush=True)
    elif last:
        print(text, file=sys.stderr, flush=True)
