"""The command line of a function, run as a process."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.mounting import can_mount, mount
from tests.waiting import gone, written

ROOT = Path(__file__).parents[3]
COMMAND = """
'''What this command does.

    command digits \\\\
        --out-dir out

More about it.
'''
import os, subprocess, sys, time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from typer import Argument, Option
from fcn.cli import command_line
from fcn.common import files, messages

@dataclass(frozen=True)
class Size:
    width: Annotated[int, Option(help="In pixels.")] = 4
    def __post_init__(self):
        if self.width < 1:
            raise ValueError("width: allowed: 1 or more")

def run(
    key: Annotated[str, Argument(help="Which one.")],
    out_dir: Annotated[Path, Option(help="Where to.")],
    quiet: Annotated[bool, Option("--quiet", help="Say less.")] = False,
    size: Size = Size(),
):
    {body}

command_line.run(run)
"""
FILL = """
    with files.writing_folder(out_dir) as folder:
        for number in range(30):
            (folder / str(number)).write_bytes(bytes(100_000))
"""


def command(body: str) -> list[str]:
    return [sys.executable, "-c", COMMAND.format(body=body.strip())]


def run(
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


def test_arguments_arrive_with_their_types_and_success_exits_with_0() -> None:
    done = run("print(repr((key, out_dir)))", "digits", "--out-dir", "a/b")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "('digits', PosixPath('a/b'))\n"


def test_a_dataclass_stands_for_its_fields_and_its_checks_are_one_message() -> None:
    body, given = "print(size)", ["digits", "--out-dir", "x"]
    assert run(body, *given).stdout == "Size(width=4)\n"
    assert run(body, *given, "--width", "7").stdout == "Size(width=7)\n"
    wrong = run(body, *given, "--width", "0")
    assert (wrong.returncode, wrong.stderr) == (1, "error: width: allowed: 1 or more\n")


def test_a_function_that_returns_a_number_exits_with_it() -> None:
    assert run("return 3", "digits", "--out-dir", "x").returncode == 3


def test_help_is_the_docstring_line_by_line_and_every_argument() -> None:
    done = run("pass", "--help")
    assert done.returncode == 0
    assert "What this command does.\n\n    command digits --out-dir out\n\nMore" in done.stdout
    assert [
        text for text in ("Which one.", "Where to.", "Say less.") if text not in done.stdout
    ] == []


@pytest.mark.parametrize(("given", "arrives"), [([], "False"), (["--quiet"], "True")])
def test_a_bool_is_a_flag_and_off_by_default(given: list[str], arrives: str) -> None:
    done = run("print(quiet)", "digits", "--out-dir", "x", *given)
    assert (done.returncode, done.stdout) == (0, f"{arrives}\n")


@pytest.mark.parametrize(
    ("arguments", "culprit"),
    [
        ([], "'key'"),
        (["digits"], "'--out-dir'"),
        (["--out-dir", "x"], "'key'"),
        (["digits", "--out-dir", "x", "--zzz", "1"], "--zzz"),
        (["digits", "camvid", "--out-dir", "x"], "camvid"),
    ],
    ids=["no argument", "no option", "no key", "an unknown option", "two keys"],
)
def test_wrong_usage_exits_with_2_and_names_the_argument(
    arguments: list[str], culprit: str
) -> None:
    done = run("print('ran')", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert culprit in done.stderr
    assert "--help" in done.stderr


@pytest.mark.parametrize(
    ("error", "code"), [("ValueError", 1), ("OSError", 1), ("messages.TryLater", 75)]
)
def test_what_a_person_can_cause_is_one_message(error: str, code: int) -> None:
    done = run(f"raise {error}('no split')", "digits", "--out-dir", "x")
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr == "error: no split\n"


@pytest.mark.parametrize("body", ["{}[key]", "assert not key", "raise RuntimeError(key)"])
def test_a_fault_of_the_project_shows_its_traceback(body: str) -> None:
    done = run(body.replace("{}", "dict()"), "digits", "--out-dir", "x")
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")
    assert "in run" in done.stderr


INTERRUPTED = """
    with files.writing_folder(out_dir) as folder:
        (folder / "half").touch()
        print("in the middle", flush=True)
        time.sleep(300)
"""


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_command_ends_with_one_line_and_leaves_no_half_of_a_file(
    sent: signal.Signals, code: int, tmp_path: Path
) -> None:
    with interruptible(INTERRUPTED, "digits", "--out-dir", str(tmp_path / "out")) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "in the middle\n"
        process.send_signal(sent)
        _, shown = process.communicate(timeout=300)
    assert (process.returncode, shown) == (code, "interrupted; nothing was written\n")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_command_names_the_outputs_that_are_complete(tmp_path: Path) -> None:
    body = """
    with files.writing_folder(out_dir) as folder:
        (folder / "whole").touch()
    print("in the middle", flush=True)
    time.sleep(300)
"""
    out = tmp_path / "out"
    out.mkdir()
    with interruptible(body, "digits", "--out-dir", str(out)) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, shown = process.communicate(timeout=300)
    assert shown == f"interrupted; written: {out}; run again for the rest\n"


def test_ctrl_c_while_modules_are_imported_is_one_line() -> None:
    slow = COMMAND.replace(
        "@dataclass", "print('importing', flush=True); time.sleep(300)\n@dataclass"
    )
    with interruptible("pass", command=slow) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, shown = process.communicate(timeout=300)
    assert (process.returncode, shown) == (130, "interrupted\n")


def interruptible(body: str, *arguments: str, command: str = COMMAND) -> subprocess.Popen[str]:
    """Start a command as a terminal does: a shell's background job would ignore Ctrl-C."""
    return subprocess.Popen(
        [sys.executable, "-c", command.format(body=body.strip()), *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


OPTIONS_END = """
from typing import Annotated
from typer import Argument, Option
from fcn.cli import command_line

def run(
    command: Annotated[list[str], Argument(help="A command.")],
    seconds: Annotated[int, Option(help="How long.")] = 1,
):
    print(seconds, command)

command_line.run(run, options_end={end})
"""


@pytest.mark.parametrize(
    ("end", "shown"), [(True, "2 ['make', '--seconds', '3']\n"), (False, "3 ['make']\n")]
)
def test_options_after_the_first_argument_may_belong_to_it(end: bool, shown: str) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-c", OPTIONS_END.format(end=end)),
            *("--seconds", "2", "make", "--seconds", "3"),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == (shown, "")


def test_a_file_beyond_the_limit_is_one_message_with_its_path(tmp_path: Path) -> None:
    done = run(
        FILL,
        "digits",
        "--out-dir",
        tmp_path / "out",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)),
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path}/out: the file is larger than")
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not can_mount(), reason="this user may not mount")
def test_a_full_disk_is_one_message_with_its_path_and_no_file_is_left(tmp_path: Path) -> None:
    script = f'mount -t tmpfs -o size=1m none {tmp_path}; code=0; "$@" || code=$?; ls -A {tmp_path}'
    out = tmp_path / "out"
    done = run(FILL, "digits", "--out-dir", out, before=mount(f"{script}; exit $code", "sh"))
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {out}: no space is left")
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == "", "a file is left on the full disk"


def test_kill_9_of_its_parent_ends_a_command(tmp_path: Path) -> None:
    out = tmp_path / "pid"
    body = """
    out_dir.write_text(f"{os.getpid()}\\n")
    time.sleep(3600)
"""
    started = [*command(body), "digits", "--out-dir", str(out)]
    parent = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess; subprocess.run({started})"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    child = psutil.Process(int(written(out)))
    parent.kill()
    parent.wait()
    assert gone(child)
