#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes the wiki pages that come from tables in the code: Configuration (boot options) and
Console-Commands. Runs the hosted twin, which prints them. --check: fails when a page is stale.
"""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TWIN = ROOT / "build/host/marrow"

PAGES = {
    "Configuration.md": ("help boot --markdown", """# Configuration

Options are given as `key=value` or as a bare flag, on the boot command line or in `/marrow.cfg` on the
boot medium, one per line (`#` begins a comment). The command line overrides the file, and the file
overrides the defaults. Quote a value with spaces: `run="help; poweroff"`. Numbers may end in K, M or G.
An unknown key gives a warning with the nearest known key.

This page is written by `make wiki` from the table of options that the parser uses.

"""),
    "Console-Commands.md": ("help --markdown", """# Console commands

Commands are separated by `;`. Words may be quoted with `"` or `'`. Tab completes commands and their
arguments, Ctrl-R searches earlier lines, Ctrl-C stops the running command. `help COMMAND` shows these texts
on the machine. In a conversation (`talk`) the commands begin with `/`; `/help` lists them.

This page is written by `make wiki` from the table of commands.

"""),
}


def printed(command: str) -> str:
    """Returns what the twin prints for a command, between its banner and its last line."""
    mark = "---- page ----"
    run = subprocess.run([TWIN, f"run=echo {mark}; {command}; echo {mark}; poweroff"], check=True,
                         capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    return run.stdout.replace("\r", "").split(mark + "\n")[1]


def main() -> None:
    stale = []
    for name, (command, head) in PAGES.items():
        page = ROOT / "wiki" / name
        text = head + printed(command).rstrip("\n") + "\n"
        if page.exists() and page.read_text() == text:
            continue
        stale.append(name)
        if "--check" not in sys.argv:
            page.write_text(text)
            print(f"wiki/{name} written")
    if stale and "--check" in sys.argv:
        sys.exit(f"stale: {', '.join(stale)}: run make wiki")


if __name__ == "__main__":
    main()
