#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes compile_commands.json for editors and clang-tidy. Usage: gen_compile_commands.py OUT FLAGS -- FILES"""
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def main() -> None:
    split = sys.argv.index("--")
    out, flags, files = sys.argv[1], sys.argv[2:split], sys.argv[split + 1:]
    rows = [{"directory": str(ROOT), "file": file,
             "arguments": ["clang++-19", *flags, "-c", file]} for file in files]
    pathlib.Path(out).write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
