"""Signals that a process sends to itself: no test waits for one."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fcn.runtime import interrupts

ROOT = Path(__file__).parents[3]


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run a script in which `send` sends a signal to its process."""
    head = """
import os, signal, sys
from fcn.common import messages
from fcn.runtime import interrupts
signal.signal(signal.SIGINT, signal.default_int_handler)  # as at a terminal
def send(name):
    os.kill(os.getpid(), getattr(signal, name))
"""
    return subprocess.run(
        [sys.executable, "-c", head + code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_ctrl_c_that_nothing_catches_is_one_line_and_130() -> None:
    done = run("interrupts.explain_unhandled()\nsend('SIGINT')\n")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_other_errors_still_show_their_traceback() -> None:
    done = run("interrupts.explain_unhandled()\n1 / 0\n")
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")


def test_sigterm_ends_as_ctrl_c_does() -> None:
    done = run("interrupts.end_on_sigterm()\nwith messages.explaining():\n    send('SIGTERM')\n")
    assert (done.returncode, done.stderr) == (143, "interrupted\n")


SLOW_TO_END = """
import os, sys, time
from fcn.common import messages
from fcn.runtime import interrupts, processes
processes.end_with_parent(seconds=0.01)
interrupts.end_on_sigterm()
parent = os.getppid()
with messages.explaining():
    try:
        print("begun", flush=True)
        time.sleep(300)
    finally:
        while os.getppid() == parent:
            time.sleep(0.01)
        time.sleep(0.5)  # Much longer than the thread takes that looks for the parent.
"""


def test_after_sigterm_a_command_ends_by_itself_although_its_parent_is_gone() -> None:
    done = run(f"""
import subprocess
command = [sys.executable, "-c", {SLOW_TO_END!r}]
child = subprocess.Popen(command, stdout=subprocess.PIPE)
child.stdout.readline()
child.terminate()
os._exit(0)
""")
    assert done.stderr == "interrupted\n"


def test_an_ignored_sigterm_stays_ignored() -> None:
    code = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\ninterrupts.end_on_sigterm()\n"
    done = run(f"{code}send('SIGTERM')\nprint('goes on')\n")
    assert (done.returncode, done.stdout) == (0, "goes on\n")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_at_the_end_shows_no_traceback(name: str) -> None:
    done = run(f"interrupts.end_on_sigterm()\ninterrupts.end_at_once()\nsend('{name}')\n")
    assert (done.returncode, done.stderr) == (-getattr(signal, name), "")


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_delayed_signal_arrives_after_the_block(name: str, code: int) -> None:
    done = run(f"""
interrupts.end_on_sigterm()
with messages.explaining():
    with interrupts.delayed():
        send("{name}")
        send("{name}")
        print("complete")
    print("never")
""")
    assert (done.returncode, done.stdout, done.stderr) == (code, "complete\n", "interrupted\n")


def test_an_error_in_the_block_restores_the_handlers() -> None:
    before = [signal.getsignal(number) for number in interrupts.SIGNALS]
    with pytest.raises(ValueError, match="full"), interrupts.delayed():
        raise ValueError("full")
    assert [signal.getsignal(number) for number in interrupts.SIGNALS] == before


def test_a_block_in_another_thread_runs() -> None:
    def work() -> None:
        with interrupts.delayed():
            done.append(True)

    done: list[bool] = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
