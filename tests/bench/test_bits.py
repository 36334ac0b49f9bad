"""bench.bits: equal runs print equal lines; bench.other_cpu: the libraries believe it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench import other_cpu
from tests.conftest import ROOT

LINE = re.compile(r"digits  [^ ].*  (output|by \w+)  float32  [0-9a-f]{12}")
FEATURES = "from numpy._core._multiarray_umath import __cpu_features__ as f; print(f['AVX512F'])"


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True
    )


def cpuid_can_fault() -> bool:
    info = Path("/proc/cpuinfo")
    return shutil.which("cc") is not None and info.exists() and "cpuid_fault" in info.read_text()


def test_help_says_what_a_line_holds() -> None:
    done = run("bench.bits", "--help")
    assert done.returncode == 0
    assert "SHA-256" in done.stdout


def test_two_processes_compute_the_same_bits() -> None:
    first, second = (
        run("bench.bits", "--network", "digits", "--only", "upsampling, stride 2,")
        for _ in range(2)
    )
    assert (first.returncode, first.stderr) == (0, "")
    lines = [line for line in first.stdout.splitlines() if not line.startswith("#")]
    assert len(lines) == 6
    assert all(LINE.fullmatch(line) for line in lines)
    assert len({line[-12:] for line in lines}) == 6
    assert first.stdout == second.stdout


def test_the_cpus_are_listed() -> None:
    done = run("bench.other_cpu")
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(other_cpu.CPUS)


def test_an_unknown_cpu_is_refused() -> None:
    done = run("bench.other_cpu", "pentium", "true")
    assert done.returncode == 1
    assert "no CPU 'pentium'; known: cascadelake, cooperlake" in done.stderr


def test_a_cpu_is_what_cpuid_reports() -> None:
    # L1, L2, L3 in KiB, Intel, the signature, and bit 5 (AVX512-BF16) among those that remain.
    assert other_cpu.CPUS["cooperlake"].numbers() == "20 400 9a00 0 5065b 0 0 0 3c00000 200010"


@pytest.mark.skipif(not cpuid_can_fault(), reason="needs a C compiler and CPUID faulting")
def test_libraries_use_the_instructions_of_the_other_cpu() -> None:
    done = run("bench.other_cpu", "haswell", sys.executable, "-c", FEATURES)
    assert (done.stdout, done.stderr) == ("False\n", "")


@pytest.mark.skipif(not cpuid_can_fault(), reason="needs a C compiler and CPUID faulting")
def test_portable_weights_are_equal_on_another_cpu_with_other_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = ("--portable", "--network", "digits", "--only", "steps, fcn32s", "--steps", "3")
    here = run("bench.bits", *options)
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "1")
    there = run("bench.other_cpu", "haswell", sys.executable, "-m", "bench.bits", *options)
    weights = [done.stdout.splitlines()[-1] for done in (here, there)]
    assert "3 training steps, fcn32s" in weights[0]
    assert weights[0] == weights[1]
