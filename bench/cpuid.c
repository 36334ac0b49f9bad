// Answers the instruction CPUID as another CPU does; bench/other_cpu.py loads it with LD_PRELOAD.
//
// Linux can make CPUID fault (arch_prctl ARCH_SET_CPUID, Intel since 2012, AMD since Zen 5). The
// handler of SIGSEGV then answers it; every other instruction runs at full speed. A library that
// chooses its code by CPUID therefore chooses that of the other CPU. The dynamic loader runs before
// this file, so glibc keeps the real CPU; GLIBC_TUNABLES changes that.
//
// OTHER_CPU holds ten hexadecimal numbers: KiB of L1 data cache, L2 and L3; 1 for AMD, 0 for Intel;
// the signature (leaf 1, EAX); the bits to clear in leaf 1 ECX, leaf 7 EBX, ECX and EDX, and leaf 7
// subleaf 1 EAX.

#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { SET_CPUID = 0x1012, FAULTS = 0, WORKS = 1, WAYS = 8, LINE = 64 };

static struct {
  uint32_t kib[3], amd, signature, ecx1, ebx7, ecx7, edx7, eax71;
} cpu;
static struct sigaction previous;

static void execute(uint32_t leaf, uint32_t subleaf, uint32_t r[4]) {
  __asm__ volatile("cpuid"
                   : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
                   : "a"(leaf), "c"(subleaf));
}

static void describe_cache(uint32_t r[4]) {
  uint32_t type = r[0] & 31, level = (r[0] >> 5) & 7;
  if (type != 1 && type != 3) return;  // 1 holds data, 3 holds data and instructions
  if (level < 1 || level > 3) return;
  r[1] = (WAYS - 1) << 22 | (LINE - 1);
  r[2] = cpu.kib[level - 1] * 1024 / LINE / WAYS - 1;
}

static void answer(uint32_t leaf, uint32_t subleaf, uint32_t r[4]) {
  execute(cpu.amd && leaf == 0x8000001d ? 4 : leaf, subleaf, r);
  switch (leaf) {
    case 0:
      if (cpu.amd) r[1] = 0x68747541, r[3] = 0x69746e65, r[2] = 0x444d4163;  // AuthenticAMD
      break;
    case 1:
      r[0] = cpu.signature;
      r[2] &= ~cpu.ecx1;
      break;
    case 4:
    case 0x8000001d:
      describe_cache(r);
      break;
    case 7:
      if (subleaf == 0) r[1] &= ~cpu.ebx7, r[2] &= ~cpu.ecx7, r[3] &= ~cpu.edx7;
      if (subleaf == 1) r[0] &= ~cpu.eax71;
      break;
    case 0x80000000:
      if (cpu.amd) r[0] = 0x80000020;
      break;
    case 0x80000001:
      if (cpu.amd) r[2] |= 1u << 22;  // leaf 0x8000001d exists
      break;
    case 0x80000005:
      if (cpu.amd) r[2] = cpu.kib[0] << 24 | WAYS << 16 | 1 << 8 | LINE;
      break;
    case 0x80000006:
      if (cpu.amd) {
        r[2] = cpu.kib[1] << 16 | 6 << 12 | 1 << 8 | LINE;
        r[3] = cpu.kib[2] / 512 << 18 | 6 << 12 | 1 << 8 | LINE;
      }
  }
}

static void on_fault(int signal, siginfo_t *info, void *context) {
  greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
  const uint8_t *code = (const uint8_t *)g[REG_RIP];
  if (info->si_code != SI_KERNEL || code[0] != 0x0f || code[1] != 0xa2) {
    sigaction(signal, &previous, NULL);  // a fault of the program: it happens again
    return;
  }
  uint32_t r[4];
  syscall(SYS_arch_prctl, SET_CPUID, WORKS);
  answer((uint32_t)g[REG_RAX], (uint32_t)g[REG_RCX], r);
  syscall(SYS_arch_prctl, SET_CPUID, FAULTS);
  g[REG_RAX] = r[0], g[REG_RBX] = r[1], g[REG_RCX] = r[2], g[REG_RDX] = r[3];
  g[REG_RIP] += 2;
}

__attribute__((constructor)) static void start(void) {
  const char *numbers = getenv("OTHER_CPU");
  if (!numbers || sscanf(numbers, "%x %x %x %x %x %x %x %x %x %x", &cpu.kib[0], &cpu.kib[1],
                         &cpu.kib[2], &cpu.amd, &cpu.signature, &cpu.ecx1, &cpu.ebx7, &cpu.ecx7,
                         &cpu.edx7, &cpu.eax71) != 10) {
    fputs("error: OTHER_CPU: ten hexadecimal numbers are required\n", stderr);
    _exit(2);
  }
  struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
  sigaction(SIGSEGV, &action, &previous);
  if (syscall(SYS_arch_prctl, SET_CPUID, FAULTS)) {
    perror("error: this CPU or kernel cannot make CPUID fault");
    _exit(1);
  }
}
