#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks the linked kernel: check_image.py KERNEL.elf SYMBOLS.bin, or --self-test.

* x86_64: no instruction uses %fs: ring 0 has nothing there, but GCC 12 takes its stack canary from
  %fs:0x28 in functions with a target attribute, whatever -mstack-protector-guard says.
* ARM64: the only relocation is R_AARCH64_RELATIVE, as head.S applies no other, and none lies in text, as head.S
  takes only data out of the caches after it has applied them.
* No segment is both writable and executable.
* The symbol table that was linked in still has the right addresses of functions.
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

import gen_symbols


# By the ELF header's machine: the prefix of its tools.
CROSS = {62: "", 183: "aarch64-linux-gnu-"}
X86, ARM = 62, 183


def machine(elf: str) -> int:
    return int.from_bytes(pathlib.Path(elf).read_bytes()[18:20], "little")


def output(*command: str) -> list[str]:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def uses_of_fs(elf: str, _: str) -> list[str]:
    # The section of the Linux drivers included: all of it runs in ring 0.
    if machine(elf) != X86:
        return []
    return [f"uses %fs: {line.strip()}" for line in output("objdump", "-d", elf) if "%fs:" in line]


def foreign_relocations(elf: str, _: str) -> list[str]:
    if machine(elf) != ARM:
        return []
    rows = [line.split() for line in output("readelf", "-rW", elf)]
    return [f"{row[2]} at {row[0]}: a word that nobody would mend" for row in rows
            if len(row) > 2 and row[2].startswith("R_") and row[2] not in ("R_AARCH64_RELATIVE", "R_AARCH64_NONE")]


def relocations_in_text(elf: str, _: str) -> list[str]:
    ends = [int(line.split()[0], 16) for line in output(CROSS[machine(elf)] + "nm", elf) if line.endswith(" __text_end")]
    if machine(elf) != ARM or not ends:
        return []
    rows = [line.split() for line in output("readelf", "-rW", elf)]
    return [f"a pointer at {row[0]}: old lines of a cache might hide it" for row in rows
            if len(row) > 2 and row[2] == "R_AARCH64_RELATIVE" and int(row[0], 16) < ends[0]]


def loose_segments(elf: str, _: str) -> list[str]:
    rows = [line.split() for line in output("readelf", "-lW", elf) if line.strip().startswith("LOAD")]
    return [f"a writable and executable segment at {row[2]}" for row in rows if "RWE" in "".join(row[6:-1])]


def moved_symbols(elf: str, symbols: str) -> list[str]:
    if gen_symbols.table(elf) == pathlib.Path(symbols).read_bytes():
        return []
    return ["linking the symbol table moved text: backtraces would lie"]


CHECKS = (uses_of_fs, foreign_relocations, relocations_in_text, loose_segments, moved_symbols)


def faults(elf: str, symbols: str) -> list[str]:
    return [f"{check.__name__}: {fault}" for check in CHECKS for fault in check(elf, symbols)]


GOOD = (".globl __kernel_start, _start, second\n.type _start, %function\n.type second, %function\n"
        "__kernel_start: _start: ret\nsecond: ret\n")
LINK = ("-static", "-Wl,-z,noexecstack")
# (machine, check, source, linker flags): each makes the good image with one fault.
PLANTED = (
    (X86, "uses_of_fs", GOOD + "mov %fs:0x28, %rax\n", LINK),
    (X86, "loose_segments", GOOD, ("-static", "-Wl,--omagic")),
    (X86, "moved_symbols", GOOD.replace("_start: ret", "_start: nop; ret"), LINK),
    (ARM, "foreign_relocations", GOOD + ".weak elsewhere\n.data\n.quad elsewhere\n",
     ("-nostartfiles", "-shared", "-Wl,-z,noexecstack,-z,notext")),
    (ARM, "relocations_in_text", GOOD + ".globl __text_end\n.quad second\n__text_end:\n",
     ("-nostartfiles", "-shared", "-Wl,-Bsymbolic,-z,noexecstack,-z,notext")),
    (ARM, "loose_segments", GOOD, ("-static", "-Wl,--omagic")),
    (ARM, "moved_symbols", GOOD.replace("_start: ret", "_start: nop; ret"), LINK),
)


def self_test() -> None:
    # ARM64's tools are installed only where it is built or tested.
    machines = [m for m, cross in CROSS.items() if shutil.which(cross + "gcc")]
    with tempfile.TemporaryDirectory() as folder:
        def build(which: int, name: str, source: str, flags: tuple[str, ...]) -> str:
            path = pathlib.Path(folder) / name
            path.with_suffix(".s").write_text(source)
            subprocess.run([CROSS[which] + "gcc", "-nostdlib", *flags, str(path.with_suffix(".s")), "-o", str(path)],
                           check=True, stderr=subprocess.DEVNULL)
            return str(path)

        wrong, symbols, planted = [], f"{folder}/symbols", [row for row in PLANTED if row[0] in machines]
        for which in machines:
            good = build(which, "good", GOOD, LINK)
            pathlib.Path(symbols).write_bytes(gen_symbols.table(good))
            wrong += [f"the good image: {fault}" for fault in faults(good, symbols)]
            for _, name, source, flags in [row for row in planted if row[0] == which]:
                if not any(fault.startswith(name) for fault in faults(build(which, name, source, flags), symbols)):
                    wrong.append(f"{name} did not notice the planted fault")
    print("\n".join(wrong) or f"image self-test: {len(planted)} planted faults found")
    sys.exit(1 if wrong else 0)


def main() -> None:
    if sys.argv[1:] == ["--self-test"]:
        self_test()
    found = faults(*sys.argv[1:3])
    print("\n".join(found[:20]), end="\n" if found else "")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
