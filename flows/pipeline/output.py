"""The output of `dvc`: read from its process, cut into lines, and searched for what happened."""

import codecs
import re
import selectors
import subprocess
import time
from collections import deque
from collections.abc import Iterable, Iterator

TICK = 0.5  # seconds between two looks at the clock while a stage writes nothing
PROGRESS = 10.0  # seconds between two states of a progress bar
# DVC's message about a stage's exit code; DVC's own exit code is 255 for every failure.
EXIT = re.compile(r", exited with (-?\d+)$")
LONGEST_LINE = 10_000  # characters; limits the memory when no line ends
# DVC's messages about a stage that it need not run; the second is for .dvc files.
SKIPPED = (
    "Stage '{}' didn't change, skipping",
    "'{}' didn't change, skipping",
    "Stage '{}' is cached - skipping run, checking out outputs",
)


class StageOutput:
    """What one stage's output says: whether DVC skipped it, and why it failed."""

    def __init__(self, stage: str) -> None:
        """Start with no line."""
        self.skipped = False
        """Whether DVC found the stage unchanged, or in its run cache."""
        self.code = 0
        """The stage's exit code, in DVC's words; 0 if DVC did not name one."""
        self._skipped_lines = {line.format(stage) for line in SKIPPED}
        self._tail: deque[str] = deque(maxlen=20)
        self._error: deque[str] = deque(maxlen=20)
        self._in_error = False

    def add(self, line: str) -> None:
        """Take the next line."""
        self.skipped |= line in self._skipped_lines
        if exited := EXIT.search(line):
            self.code = int(exited[1])
        self._tail.append(line)
        if line.startswith(("error: ", "Traceback ")):  # replaces an earlier message
            self._error.clear()
        continued = bool(self._error) and self._in_error and line.startswith(" ")
        self._in_error = continued or line.startswith("error: ")
        if self._in_error:
            self._error.append(line.removeprefix("error: "))

    def error(self) -> str:
        """Return the stage's last error message, or the end of its output if it wrote none."""
        return "\n".join(self._error or self._tail)


def read(process: subprocess.Popen[bytes], deadline: float) -> Iterator[bytes]:
    """Read what a process writes until it ends; end it at `deadline` (of `time.monotonic`)."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if selector.select(TICK):
                chunk = process.stdout.read(65536)
                if not chunk:
                    return
                yield chunk
            elif process.poll() is not None:
                return  # a daemon that left the process group keeps the pipe open
            if time.monotonic() > deadline:
                process.terminate()


def lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Cut output into lines; leave out empty ones, and most states of a progress bar.

    A progress bar returns with a carriage return and draws itself again: all its states are one
    line.
    """
    decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
    rest, shown = "", time.monotonic()
    for chunk in chunks:
        *complete, rest = (rest + decode(chunk)).split("\n")
        yield from filter(None, map(_last_state, complete))
        if "\r" in rest:
            rest = "\r".join(rest.split("\r")[-2:])  # the last state may be unfinished
            if time.monotonic() > shown + PROGRESS:
                shown = time.monotonic()
                yield _last_state(rest)
        while len(rest) > LONGEST_LINE:
            yield rest[:LONGEST_LINE]
            rest = rest[LONGEST_LINE:]
    yield from filter(None, [_last_state(rest + decode(b"", final=True))])


def _last_state(line: str) -> str:
    return next((state.rstrip() for state in reversed(line.split("\r")) if state.strip()), "")
