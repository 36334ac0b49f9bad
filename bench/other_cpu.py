"""Run a command as if on another x86-64 CPU: other cache sizes, fewer instruction sets.

Run:
    python -m bench.other_cpu genoa python -m bench.bits
    python -m bench.other_cpu

Without arguments it lists the CPUs. Only the instruction CPUID answers differently (bench/cpuid.c),
so the command runs at full speed, and the real CPU has to have the instructions that remain. It
needs a C compiler, Linux, and an Intel CPU since 2012 or an AMD CPU since Zen 5. glibc (its
mathematical functions) keeps the real CPU.
"""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from subprocess import run
from typing import Annotated

from typer import Argument

from fcn.cli import command_line
from fcn.common.text import nearest

SOURCE = Path(__file__).with_name("cpuid.c")

AMX = {"edx7": (22, 24, 25), "eax71": (21,)}
FP16 = {"edx7": (23,)}
AVX_VNNI = {"eax71": (4,)}
BF16 = {"eax71": (5,)}
VNNI = {"ecx7": (11,)}
AVX512 = {"ebx7": (16, 17, 21, 26, 27, 28, 30, 31), "ecx7": (1, 6, 12, 14), "edx7": (2, 3, 8)}
AVX2_FMA = {"ecx1": (12,), "ebx7": (5,)}
REGISTERS = ("ecx1", "ebx7", "ecx7", "edx7", "eax71")
"""Where CPUID reports instruction sets: leaf 1 ECX, leaf 7 EBX, ECX, EDX, leaf 7 subleaf 1 EAX."""


@dataclass(frozen=True)
class Cpu:
    """What CPUID reports of a CPU."""

    caches: tuple[int, int, int]
    """KiB of L1 data cache, of L2 and of L3."""
    signature: int
    """Family, model and stepping: leaf 1, EAX."""
    missing: tuple[dict[str, tuple[int, ...]], ...]
    """The instruction sets that it lacks, as bits by register."""
    amd: bool = False

    def numbers(self) -> str:
        """Return what bench/cpuid.c reads."""
        cleared = {
            register: sum(1 << bit for each in self.missing for bit in each.get(register, ()))
            for register in REGISTERS
        }
        return " ".join(
            f"{n:x}" for n in (*self.caches, self.amd, self.signature, *cleared.values())
        )


BEFORE_AMX = (AMX, FP16, AVX_VNNI)
CPUS = {
    "sandybridge": Cpu((32, 256, 20480), 0x206D7, (*BEFORE_AMX, BF16, VNNI, AVX512, AVX2_FMA)),
    "haswell": Cpu((32, 256, 30720), 0x306F2, (*BEFORE_AMX, BF16, VNNI, AVX512)),
    "rome": Cpu((32, 512, 16384), 0x830F10, (*BEFORE_AMX, BF16, VNNI, AVX512), amd=True),
    "skylake": Cpu((32, 1024, 28160), 0x50654, (*BEFORE_AMX, BF16, VNNI)),
    "cascadelake": Cpu((32, 1024, 36608), 0x50657, (*BEFORE_AMX, BF16)),
    "cooperlake": Cpu((32, 1024, 39424), 0x5065B, BEFORE_AMX),
    "icelake": Cpu((48, 1280, 49152), 0x606A6, (*BEFORE_AMX, BF16)),
    "genoa": Cpu((32, 1024, 32768), 0xA10F11, BEFORE_AMX, amd=True),
    "turin": Cpu((48, 1024, 32768), 0xB00F21, (AMX, FP16), amd=True),
    "sapphire": Cpu((48, 2048, 107520), 0x806F8, ()),
}
"""Server CPUs by code name; sizes per core, L3 as one core sees it."""


def main(
    name: Annotated[str | None, Argument(metavar="[CPU]", help="Its code name.")] = None,
    command: Annotated[list[str] | None, Argument(help="The command with its own options.")] = None,
) -> int:
    """List the CPUs, or compile the library, run the command with it, return its exit code."""
    if name is None:
        for each, cpu in CPUS.items():
            print(f"{each:12} L1 {cpu.caches[0]}, L2 {cpu.caches[1]}, L3 {cpu.caches[2]} KiB")
        return 0
    if name not in CPUS:
        raise ValueError(f"no CPU {name!r}; {nearest(name, CPUS)}")
    if not command:
        raise ValueError(f"got no command for {name}; allowed: a command and its options")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "cpuid.so")
        run(["cc", "-O1", "-shared", "-fPIC", "-o", library, SOURCE], check=True)
        changed = {"LD_PRELOAD": str(library), "OTHER_CPU": CPUS[name].numbers()}
        return run(command, env=os.environ | changed, check=False).returncode


if __name__ == "__main__":
    command_line.run(main, options_end=True)
