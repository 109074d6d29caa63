#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks the linked kernel: check_image.py KERNEL.elf SYMBOLS.bin, or --self-test.

* No instruction uses %fs: ring 0 has nothing there, but GCC 12 takes its stack canary from
  %fs:0x28 in functions with a target attribute, whatever -mstack-protector-guard says.
* No segment is both writable and executable.
* The symbol table that was linked in still has the right addresses of functions.
"""
import pathlib
import subprocess
import sys
import tempfile

import gen_symbols


def output(*command: str) -> list[str]:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def uses_of_fs(elf: str, _: str) -> list[str]:
    # The section of the Linux drivers included: all of it runs in ring 0.
    return [f"uses %fs: {line.strip()}" for line in output("objdump", "-d", elf) if "%fs:" in line]


def loose_segments(elf: str, _: str) -> list[str]:
    rows = [line.split() for line in output("readelf", "-lW", elf) if line.strip().startswith("LOAD")]
    return [f"a writable and executable segment at {row[2]}" for row in rows if "RWE" in "".join(row[6:-1])]


def moved_symbols(elf: str, symbols: str) -> list[str]:
    if gen_symbols.table(elf) == pathlib.Path(symbols).read_bytes():
        return []
    return ["linking the symbol table moved text: backtraces would lie"]


CHECKS = (uses_of_fs, loose_segments, moved_symbols)


def faults(elf: str, symbols: str) -> list[str]:
    return [f"{check.__name__}: {fault}" for check in CHECKS for fault in check(elf, symbols)]


GOOD = ".globl _start, second\n.type _start, @function\n.type second, @function\n_start: ret\nsecond: ret\n"
# (check, source, linker flag): each makes the good image with one fault.
PLANTED = (
    ("uses_of_fs", GOOD + "mov %fs:0x28, %rax\n", "-Wl,-z,noexecstack"),
    ("loose_segments", GOOD, "-Wl,--omagic"),
    ("moved_symbols", GOOD.replace("_start: ret", "_start: nop; ret"), "-Wl,-z,noexecstack"),
)


def self_test() -> None:
    with tempfile.TemporaryDirectory() as folder:
        def build(name: str, source: str, flag: str) -> str:
            path = pathlib.Path(folder) / name
            path.with_suffix(".s").write_text(source)
            subprocess.run(["gcc", "-nostdlib", "-static", flag, str(path.with_suffix(".s")), "-o", str(path)],
                           check=True, stderr=subprocess.DEVNULL)
            return str(path)

        good, symbols = build("good", GOOD, "-Wl,-z,noexecstack"), f"{folder}/symbols"
        pathlib.Path(symbols).write_bytes(gen_symbols.table(good))
        wrong = [f"the good image: {fault}" for fault in faults(good, symbols)]
        for name, source, flag in PLANTED:
            if not any(fault.startswith(name) for fault in faults(build(name, source, flag), symbols)):
                wrong.append(f"{name} did not notice the planted fault")
    print("\n".join(wrong) or f"image self-test: {len(PLANTED)} planted faults found")
    sys.exit(1 if wrong else 0)


def main() -> None:
    if sys.argv[1:] == ["--self-test"]:
        self_test()
    found = faults(*sys.argv[1:3])
    print("\n".join(found[:20]), end="\n" if found else "")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
