"""The only place that runs `dvc`: one stage at a time, in processes that end with the flow.

    with Runner(slots=2) as runner:
        ran = runner.reproduce("train@digits-fcn16s", log=print, timeout=3600)

Threads may call `reproduce` side by side. Each call is a `dvc repro --single-item`, which leaves
the order of the stages to the caller; without that flag two calls would both want what stands
upstream, and DVC refuses the second.
"""

import codecs
import os
import re
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from flows import graph, tether
from flows.slots import Slots

TICK = 0.5  # seconds between two looks at the clock while a stage says nothing
PROGRESS = 10.0  # seconds between two states of a progress bar
# How DVC tells a stage's exit code; its own is 255 for every failure.
EXIT = re.compile(r", exited with (-?\d+)$")
LONGEST_LINE = 10_000  # characters; memory stays flat if no line end ever comes
# What DVC says when it need not run a stage; the second is for .dvc files.
SKIPPED = (
    "Stage '{}' didn't change, skipping",
    "'{}' didn't change, skipping",
    "Stage '{}' is cached - skipping run, checking out outputs",
)


class StageFailed(RuntimeError):
    """A stage failed; the message is the stage's own last words."""


class Interrupted(StageFailed):
    """What ended the stage may not come again: a broken network, a kill, the time-out."""


class Cancelled(RuntimeError):
    """The runner was closed before the stage ended."""


class Runner:
    """Runs stages, at most `slots` at once; leaving its `with` block ends those still alive."""

    def __init__(
        self,
        slots: int = 1,
        env: Mapping[str, str] | None = None,
        needs: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        """Set how many stages may run at once and which variables their environment gets.

        `needs`, of the stages that may run, says which of them go first (`flows.slots`).

        Raises:
            ValueError: less than one slot.
        """
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        self._env = {
            **os.environ,
            "DVC_NO_ANALYTICS": "1",
            "PATH": path,  # dvc.yaml says `python`: it shall be the one that runs the flow
            "PYTHONUNBUFFERED": "1",  # a line comes when it is written, not when a pipe is full
            **(env or {}),
        }
        self._slots = Slots(slots, needs)
        self._lock = threading.Lock()
        self._alive: set[subprocess.Popen[bytes]] = set()
        self._closed = threading.Event()

    def __enter__(self) -> Self:
        """Nothing runs yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all that is alive, within tether.GRACE seconds; start nothing any more."""
        with self._lock:
            self._closed.set()
            alive = list(self._alive)
        for process in alive:
            process.terminate()
        for process in alive:
            process.wait()

    def reproduce(
        self,
        stage: str,
        log: Callable[[str], None],
        timeout: float | None = None,
        force: bool = False,
    ) -> bool:
        """Let DVC run one stage, once a slot is free.

        Args:
            stage: its full name.
            log: called with each line of output as it comes.
            timeout: seconds after which the stage is ended; waiting for a slot does not count.
            force: run it also where nothing changed.

        Returns:
            Whether the stage ran; False where DVC found it unchanged or in its run cache.

        Raises:
            Interrupted: by the network, a kill or the time-out; another try may go better.
            StageFailed: with the stage's own last words.
            Cancelled: the runner was closed meanwhile.
        """
        repro = ["repro", "--single-item", *["--force"][:force], stage]
        return not self._run(repro, stage, log, timeout).skipped

    def push(self, log: Callable[[str], None]) -> None:
        """Send what the lock files name to the default remote; what is there already stays.

        Raises:
            StageFailed: with DVC's own words, such as that there is no remote.
            Cancelled: the runner was closed meanwhile.
        """
        self._run(["push"], "push", log)

    def pull(self, log: Callable[[str], None]) -> None:
        """Fetch what the lock files name from the default remote; raises as `push` does."""
        self._run(["pull"], "pull", log)

    def renew(self, source: graph.Source, log: Callable[[str], None]) -> None:
        """Bring in what is new at a source: import it again, or add it again.

        Raises:
            Interrupted: the source of an import cannot be reached, or a kill.
            StageFailed: DVC refuses it.
            Cancelled: the runner was closed meanwhile.
        """
        command = ["update" if source.imported else "add", source.target]
        try:
            self._run(command, source.target, log)
        except StageFailed as error:  # DVC's exit code is the same for every reason
            raise (Interrupted if source.imported else StageFailed)(*error.args) from None

    def _run(
        self,
        command: Sequence[str],
        name: str,
        log: Callable[[str], None],
        timeout: float | None = None,
    ) -> "_Heard":
        with (
            self._slots.slot(name, lambda: log("waiting for a free slot")),
            self._start(command, name) as process,
        ):
            deadline = time.monotonic() + (float("inf") if timeout is None else timeout)
            heard = _Heard(name)
            for line in lines(_output(process, deadline)):
                log(line)
                heard.add(line)
            code = process.wait()
        if code and self._closed.is_set():
            raise Cancelled(f"{name}: cancelled")
        if code and time.monotonic() > deadline:
            raise Interrupted(f"ended after {timeout} s, the meta.timeout of dvc.yaml")
        if code:
            kind = Interrupted if _passing(code) or _passing(heard.code) else StageFailed
            raise kind(heard.last_words())
        return heard

    def pause(self, seconds: float) -> None:
        """Wait before another try.

        Raises:
            Cancelled: the runner was closed meanwhile.
        """
        if self._closed.wait(seconds):
            raise Cancelled("cancelled between two tries")

    @contextmanager
    def _start(self, command: Sequence[str], name: str) -> Iterator[subprocess.Popen[bytes]]:
        dvc = [sys.executable, "-P", "-m", "dvc"]  # -P: no file of the current folder shadows it
        with self._lock:
            if self._closed.is_set():
                raise Cancelled(f"{name}: cancelled before it began")
            process = tether.start(
                [*dvc, "--wait-for-lock", *command],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                bufsize=0,
                env=self._env,
            )
            self._alive.add(process)
        try:
            with process:  # an exception closes the pipes here, and the tether ends the stage
                yield process
        finally:
            with self._lock:
                self._alive.remove(process)


class _Heard:
    """What has to be remembered of a stage's output."""

    def __init__(self, stage: str) -> None:
        self.skipped, self.code = False, 0
        self._skipped_lines = {line.format(stage) for line in SKIPPED}
        self._tail: deque[str] = deque(maxlen=20)
        self._error: deque[str] = deque(maxlen=20)
        self._in_error = False

    def add(self, line: str) -> None:
        self.skipped |= line in self._skipped_lines
        if exited := EXIT.search(line):
            self.code = int(exited[1])
        self._tail.append(line)
        if line.startswith(("error: ", "Traceback ")):  # an older message explains nothing now
            self._error.clear()
        continued = bool(self._error) and self._in_error and line.startswith(" ")
        self._in_error = continued or line.startswith("error: ")
        if self._in_error:
            self._error.append(line.removeprefix("error: "))

    def last_words(self) -> str:
        """The stage's last message, or the end of its output if it did not leave one."""
        return "\n".join(self._error or self._tail)


def _passing(code: int) -> bool:
    """Whether an exit code says that a signal ended it, or what door.TryLater says."""
    return code == os.EX_TEMPFAIL or code < 0 or code - 128 in signal.valid_signals()


def lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Cut output into lines, leaving out empty ones; of a progress bar, a state now and then.

    A bar goes back with a carriage return and draws itself again: all its states are one line.
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


def _output(process: subprocess.Popen[bytes], deadline: float) -> Iterator[bytes]:
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
                return  # a daemon that left the group holds the pipe open
            if time.monotonic() > deadline:
                process.terminate()
