#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes wiki/Linux-Stubs.md from drivers/linux/drivers.list and fatal.list. --check: fails when it is stale."""
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "wiki/Linux-Stubs.md"
HEAD = """# Linux drivers and their stubs

Which parts of Linux's tree are in the image, and which functions they name that nothing supplies.
Such a function is linked as a stub: reaching it is a panic that names it. The build fails on a
missing function that is not in this list, and on a row that nothing needs any more; the system
tests fail on any panic, so none of these is reached in them.

This page is written by `make wiki` from `drivers/linux/drivers.list` and `drivers/linux/fatal.list`.

"""


def rows(name: str) -> list[list[str]]:
    """The `a | b | c` rows of a list of ours."""
    lines = (ROOT / "drivers/linux" / name).read_text().splitlines()
    return [[field.strip() for field in line.split("|")] for line in lines if line.strip() and line[0] != "#"]


def only(cpu: list[str]) -> str:
    return f" ({cpu[0]})" if cpu else ""


def page() -> str:
    text = HEAD + "| driver | parts of Linux's tree | test |\n|---|---|---|\n"
    for driver, targets, test, *cpu in rows("drivers.list"):
        text += f"| {driver}{only(cpu)} | {targets} | {'' if test == '-' else test} |\n"
    text += "\n| function | wanted by | why it is not supplied |\n|---|---|---|\n"
    for symbol, drivers, reason, *cpu in sorted(rows("fatal.list")):
        text += f"| `{symbol}`{only(cpu)} | {drivers} | {reason} |\n"
    return text


def main() -> None:
    stale = not PAGE.exists() or PAGE.read_text() != page()
    if stale and "--check" in sys.argv:
        sys.exit(f"stale: {PAGE.name}: run make wiki")
    if stale:
        PAGE.write_text(page())
        print(f"wiki/{PAGE.name} written")


if __name__ == "__main__":
    main()
