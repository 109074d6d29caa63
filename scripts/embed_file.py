#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes a file's bytes as numbers for an array in C++. Usage: embed_file.py INPUT OUTPUT"""
import pathlib
import sys


def main() -> None:
    data = pathlib.Path(sys.argv[1]).read_bytes()
    lines = (", ".join(str(b) for b in data[i:i + 32]) + "," for i in range(0, len(data), 32))
    pathlib.Path(sys.argv[2]).write_text("\n".join(lines) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
