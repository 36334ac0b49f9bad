import os
import pty
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from fcn.common import messages

ROOT = Path(__file__).parents[3]
DOOR = """
'''What this command does.'''
import os, subprocess, sys, time
from pathlib import Path
from fcn.common import messages
from fcn.common import files

def run(key, out_here):
    {body}

messages.main(__doc__, run, key=str, out_here=Path)
"""
FLAG = """
from fcn.common import messages
messages.main("", lambda key, no_tracking: print(no_tracking), key=str, no_tracking=bool)
"""
FILL = """
    with files.writing_folder(out_here) as folder:
        for number in range(30):
            (folder / str(number)).write_bytes(bytes(100_000))
"""


def command(body: str) -> list[str]:
    return [sys.executable, "-c", DOOR.format(body=body.strip())]


def enter(
    body: str, *arguments: str | Path, before: tuple[str, ...] = (), **how: Any
) -> subprocess.CompletedProcess[str]:
    """Run a command with this body, `before` in front of it."""
    return subprocess.run(
        [*before, *command(body), *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        **how,
    )


def test_arguments_arrive_as_their_types_and_the_end_is_0() -> None:
    done = enter("print(repr((key, out_here)))", "digits", "--out-here", "a/b")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "('digits', PosixPath('a/b'))\n"


def test_help_shows_what_the_command_does() -> None:
    done = enter("pass", "--help")
    assert done.returncode == 0
    assert "What this command does." in done.stdout


@pytest.mark.parametrize(("given", "arrives"), [([], "False"), (["--no-tracking"], "True")])
def test_a_bool_is_a_flag_that_may_be_left_out(given: list[str], arrives: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FLAG, "digits", *given],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, f"{arrives}\n")


@pytest.mark.parametrize(
    "arguments",
    [[], ["digits"], ["--out-here", "x"], ["digits", "--out-here", "x", "--zzz", "1"]],
    ids=["nothing", "no option", "no key", "an unknown option"],
)
def test_wrong_usage_ends_with_2_and_says_what_is_asked_for(arguments: list[str]) -> None:
    done = enter("print('ran')", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--out-here" in done.stderr


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise ValueError('no split')", "no split"),
        ("int('x')", "invalid literal for int() with base 10: 'x'"),
        ("open('zzz')", "zzz: No such file or directory"),
        ("raise OSError('the line went dead')", "the line went dead"),
    ],
    ids=["ours", "a library's", "a file's", "without a number"],
)
def test_what_a_person_can_cause_is_one_message(body: str, message: str) -> None:
    done = enter(body, "digits", "--out-here", "x")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"error: {message}\n"


@pytest.mark.parametrize("body", ["{}[key]", "assert not key", "raise RuntimeError(key)"])
def test_a_fault_of_ours_shows_its_traceback(body: str) -> None:
    done = enter(body.replace("{}", "dict()"), "digits", "--out-here", "x")
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")
    assert "in run" in done.stderr


@pytest.mark.parametrize("number", messages.NEXT, ids=os.strerror)
def test_errors_that_one_can_act_on_say_what_to_do(number: int) -> None:
    done = enter(f"raise OSError({number}, '', 'there')", "digits", "--out-here", "x")
    assert done.returncode == 1
    assert done.stderr == f"error: there: {messages.NEXT[number]}\n"


def test_a_file_beyond_the_limit_is_one_message_with_its_place(tmp_path: Path) -> None:
    done = enter(
        FILL,
        "digits",
        "--out-here",
        tmp_path / "out",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)),
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path}/out: the file is larger than")
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def mount(*command: str) -> tuple[str, ...]:
    """The command in a mount namespace of its own: what it mounts ends with it."""
    return ("unshare", "--mount", "--map-root-user", "sh", "-ec", *command)


def can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    tried = mount(f"mount -t tmpfs none {ROOT}")
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="may not mount a small disk here")
def test_a_full_disk_is_one_message_with_its_place_and_nothing_stays(tmp_path: Path) -> None:
    script = f'mount -t tmpfs -o size=1m none {tmp_path}; code=0; "$@" || code=$?; ls -A {tmp_path}'
    out = tmp_path / "out"
    done = enter(FILL, "digits", "--out-here", out, before=mount(f"{script}; exit $code", "sh"))
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {out}: no space is left")
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == "", "something stays on the full disk"


@pytest.fixture
def orphans() -> Iterator[list[psutil.Process]]:
    """Processes that a test leaves to end by themselves; killed after it all the same."""
    left: list[psutil.Process] = []
    yield left
    for process in filter(alive, left):
        process.kill()


def alive(process: psutil.Process) -> bool:
    """A zombie is not: it waits for its parent only."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for(what: Callable[[], bool]) -> bool:
    """Whether `what()` comes true long before the processes here would end by themselves."""
    deadline = time.monotonic() + 120
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


CHILDREN = {
    "children and theirs": "subprocess.Popen(['sh', '-c', 'sleep 300 & sleep 300'])",
    # Reaped at once, and gone when their turn to be killed comes.
    "children that end with the first": """
    import signal
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    first = subprocess.Popen(['sleep', '300'], stdout=subprocess.PIPE)
    for _ in range(30):
        subprocess.Popen(['sleep', '300'])
        subprocess.Popen(['cat'], stdin=first.stdout)
    first.stdout.close()
""".strip(),
}


THROUGH = {
    "its child": ({}, "subprocess.run(command)"),
    # A shell with something left to do stays in between, as dash does always.
    "a stage that DVC runs with a shell": (
        {"DVC_STAGE": "train@toy-fcn32s"},
        "subprocess.run(['sh', '-c', shlex.join(command) + '; true'])",
    ),
}


@pytest.mark.parametrize("through", THROUGH)
@pytest.mark.parametrize("start", CHILDREN.values(), ids=CHILDREN)
def test_kill_9_of_the_parent_ends_the_command_and_its_children(
    start: str, through: str, tmp_path: Path, orphans: list[psutil.Process]
) -> None:
    env, run = THROUGH[through]
    family = tmp_path / "family"
    body = f"""
    {start}
    out_here.with_suffix('.new').write_text(str(os.getpid()))
    out_here.with_suffix('.new').rename(out_here)
    time.sleep(300)
"""
    started = [*command(body), "digits", "--out-here", str(family)]
    parent = subprocess.Popen(
        [sys.executable, "-c", f"import shlex, subprocess; command = {started}; {run}"],
        env={**os.environ, **env, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert wait_for(family.exists)
        stage = psutil.Process(int(family.read_text()))
        assert wait_for(lambda: len(stage.children(recursive=True)) >= 2)
        orphans += [stage, *stage.children(recursive=True)]
        time.sleep(1.2)  # as long as the watch looks twice
        assert all(map(alive, orphans)), "ended although the parent lives"
    finally:
        parent.kill()
        parent.wait()
    assert wait_for(lambda: not any(map(alive, orphans)))


def test_progress_is_plain_lines_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
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
        assert wait_for(all_shown)
    assert shown == b"\r\x1b[Khalf\r\x1b[Kdone\r\n"
