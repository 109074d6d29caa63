#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes build/generated/version.h (version, commit, date); rewritten only when something changed."""
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def commit() -> str:
    """The commit, with + when tracked files differ from it; "release" outside a git checkout."""
    run = subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--abbrev=10", "--dirty=+",
                          "--exclude=*"], capture_output=True, text=True, check=False)
    return run.stdout.strip() if run.returncode == 0 else "release"


def date() -> int:
    """Returns the commit's time in seconds since 1970. A clock that shows an earlier time is wrong."""
    if "SOURCE_DATE_EPOCH" in os.environ:
        return int(os.environ["SOURCE_DATE_EPOCH"])
    run = subprocess.run(["git", "-C", str(ROOT), "show", "--no-patch", "--format=%ct"], capture_output=True, text=True,
                         check=False)
    return int(run.stdout) if run.returncode == 0 else int((ROOT / "VERSION").stat().st_mtime)


def main() -> None:
    out = pathlib.Path(sys.argv[1])
    version = (ROOT / "VERSION").read_text().strip()
    text = ("// SPDX-License-Identifier: GPL-2.0-or-later\n"
            "// Written by scripts/gen_version.py.\n#pragma once\n\n"
            f'constexpr const char* kMarrowVersion = "{version}";\n'
            f'constexpr const char* kMarrowCommit = "{commit()}";\n'
            f"constexpr unsigned long kMarrowDate = {date()};  // of the commit, seconds since 1970\n")
    if not out.exists() or out.read_text() != text:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text)


if __name__ == "__main__":
    main()
