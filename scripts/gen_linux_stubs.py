#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks the symbols that Linux objects still need, and writes stubs: gen_linux_stubs.py ARCH LINKED.o FATAL_LIST OUT.S

Every undefined symbol must be a service of Marrow (named shim_host_*) or a row of the fatal list
(`symbol | driver | reason`, and the only CPU that needs it), which becomes a stub that stops with its name. Anything else fails
the build by name. A row that nothing needs any more fails, too, so the list stays correct.
"""
import pathlib
import subprocess
import sys


# Symbols that the kernel itself defines under the same names.
KERNEL_OWN = {"memcpy", "memmove", "memset", "memcmp", "linux_initcalls_begin", "linux_initcalls_end", "linux_fixups_begin",
              "linux_fixups_end", "__start___param", "__stop___param"}

# Calls shim_host_fatal with the name's address, by CPU.
STUBS = {"x86_64": ("  leaq {}(%rip), %rdi", "  jmp shim_host_fatal"),
         "aarch64": ("  adrp x0, {}", "  add x0, x0, :lo12:{}", "  b shim_host_fatal")}


def main() -> None:
    arch, linked, fatal_list, out = sys.argv[1:]
    run = subprocess.run(["nm", "-u", linked], capture_output=True, text=True, check=True)
    undefined = {line.split()[-1] for line in run.stdout.splitlines() if line.strip()}
    fatal = {}
    for line in pathlib.Path(fatal_list).read_text().splitlines():
        fields = [field.strip() for field in line.split("|")]
        if line.strip() and not line.startswith("#"):
            if len(fields) not in (3, 4) or not all(fields) or fields[3:] not in ([], *([cpu] for cpu in STUBS)):
                sys.exit(f"{fatal_list}: not `symbol | driver | reason`, nor with a CPU behind it: {line}")
            if fields[3:] not in ([], [arch]):
                continue
            fatal[fields[0]] = fields
    ours = {s for s in undefined if s.startswith("shim_host_") or s in KERNEL_OWN}
    missing = sorted(undefined - ours - set(fatal))
    stale = sorted(set(fatal) - undefined)
    for symbol in missing:
        print(f"drivers: nothing supplies `{symbol}`: write it in drivers/linux/shim/ or give a reason in fatal.list")
    for symbol in stale:
        print(f"drivers: fatal.list has `{symbol}`, which nothing needs: remove the row")
    if missing or stale:
        sys.exit(1)
    lines = ["# Written by scripts/gen_linux_stubs.py: each stub stops the machine with its name.", ".text"]
    for number, symbol in enumerate(sorted(fatal)):
        lines += [f".globl {symbol}", f"{symbol}:", *(line.replace("{}", f"name_{number}") for line in STUBS[arch]),
                  ".section .rodata", f"name_{number}: .asciz \"{symbol}\"", ".text"]
    lines.append('.section .note.GNU-stack,"",@progbits')
    pathlib.Path(out).write_text("\n".join(lines) + "\n")
    print(f"  LINUX    {len(ours)} services of ours, {len(fatal)} fatal stubs")


if __name__ == "__main__":
    main()
