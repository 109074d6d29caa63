#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes the table from which the kernel names code addresses: gen_symbols.py KERNEL.elf OUT.bin.

Layout, little-endian, read by kernel/symbols.cpp:
  u32 count; count x { u32 address, from __kernel_start on; u32 offset of its name }, by address; names, each ends in NUL.
It has functions only: data moves when the table itself is linked in.
"""
import re
import struct
import subprocess
import sys

PIECE = re.compile(r"\.(part|constprop|isra|cold)")
NAME_MAX = 120  # a backtrace line; longer names are template argument lists


def functions(elf):
    """(address from __kernel_start on, demangled name) of every function, by address, one a address."""
    start, found = 0, {}
    text = subprocess.run(["nm", "--demangle", "--defined-only", elf], check=True,
                          capture_output=True, text=True).stdout
    for line in text.splitlines():
        address, kind, name = line.split(" ", 2)
        # NASM's local labels have a dot, and ARM's mapping symbols a dollar; so have gcc's pieces of functions, which are welcome.
        local = name[0] == "$" or "." in name.split("(")[0] and not PIECE.search(name)
        if name == "__kernel_start":
            start = int(address, 16)
        elif kind in "tTwW" and not local:
            found.setdefault(int(address, 16), name)
    return sorted((address - start, name) for address, name in found.items() if address >= start)


def short(name):
    """Without the parameter list and the noise of anonymous namespaces."""
    name = name.replace("(anonymous namespace)::", "")
    depth, cut = 0, len(name)
    for i, c in enumerate(name):
        if c == "(" and depth == 0 and not name[:i].endswith("operator"):
            cut = i
            break
        depth += (c == "<") - (c == ">" and name[i - 1] != "-")
    return name[:cut][:NAME_MAX]


def table(elf):
    """The table's bytes."""
    rows, names = [], bytearray()
    for address, name in functions(elf):
        if address >= 1 << 32:
            sys.exit(f"{name} at {address:#x}: the table holds 32-bit addresses")
        rows.append(struct.pack("<II", address, len(names)))
        names += short(name).encode() + b"\0"
    return struct.pack("<I", len(rows)) + b"".join(rows) + names


def main():
    with open(sys.argv[2], "wb") as out:
        out.write(table(sys.argv[1]))


if __name__ == "__main__":
    main()
