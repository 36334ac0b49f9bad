import os
import pty
import sys
from contextlib import suppress

import pytest

from fcn.common import messages
from tests.waiting import wait_for


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ValueError("no split"), 1, "error: no split\n"),
        (messages.TryLater("the server is busy"), 75, "error: the server is busy\n"),
        (OSError(2, "No such file", "zzz"), 1, "error: zzz: No such file\n"),
        (OSError("the connection was lost"), 1, "error: the connection was lost\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (KeyboardInterrupt("3 of 21 done"), 130, "interrupted; 3 of 21 done\n"),
        (messages.Terminated(), 143, "interrupted\n"),
    ],
    ids=["value", "try later", "file", "no error number", "Ctrl-C", "Ctrl-C, described", "SIGTERM"],
)
def test_errors_that_a_person_can_cause_are_one_message_and_an_exit_code(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, messages.explaining():
        raise error
    assert ended.value.code == code
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("error", [KeyboardInterrupt, messages.Terminated])
def test_the_innermost_block_describes_an_interrupt(error: type[KeyboardInterrupt]) -> None:
    with (
        pytest.raises(error, match=r"^inner$"),
        messages.interruptible(lambda: "outer"),
        messages.interruptible(lambda: "inner"),
        messages.interruptible(lambda: ""),
    ):
        raise error


@pytest.mark.parametrize("number", messages.NEXT, ids=os.strerror)
def test_known_operating_system_errors_say_what_to_do(
    number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, messages.explaining():
        raise OSError(number, "", "out")
    assert ended.value.code == 1
    assert capsys.readouterr().err == f"error: out: {messages.NEXT[number]}\n"


@pytest.mark.parametrize("error", [KeyError, AssertionError, RuntimeError])
def test_other_errors_pass_through(error: type[Exception]) -> None:
    with pytest.raises(error), messages.explaining():
        raise error


def test_progress_is_plain_lines_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    messages.say("half", last=False)
    messages.say("done")
    assert capsys.readouterr().err == "done\n"


def test_progress_replaces_its_line_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    shown = b""

    def all_shown() -> bool:
        nonlocal shown
        with suppress(BlockingIOError):
            shown += os.read(ours, 100)
        return shown.endswith(b"\n")

    with os.fdopen(theirs, "w") as terminal, os.fdopen(ours):
        monkeypatch.setattr(sys, "stderr", terminal)
        messages.say("half", last=False)
        messages.say("done")
        wait_for(all_shown)
    assert shown == b"\r\x1b[Khalf\r\x1b[Kdone\r\n"
