#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks who may include whom (wiki/Architecture, the layer table). Usage: check_layering.py [--self-test]

A folder may include itself and what its row names. The most specific row wins. Anything not named
is an error, so a new folder needs a row here: that is the point.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# folder: folders it may include besides itself
TABLE = {
    "kernel/base": [],
    "boot": ["kernel/base"],
    "ai": ["kernel/base", "kernel/crypto"],
    "arch/x86_64/simd": ["kernel/base", "ai"],
    "arch/aarch64/simd": ["kernel/base", "ai"],
    "kernel/crypto": ["kernel/base", "kernel/arch_contract.h"],
    "kernel/net": ["kernel/base", "kernel/crypto", "kernel/dev", "kernel/mm", "kernel/sched", "kernel/time",
                   "kernel/log.h", "kernel/options.h"],
    "kernel/fs": ["kernel/base", "kernel/dev", "kernel/mm", "kernel/sched", "kernel/time", "kernel/log.h", "boot"],
    "kernel/ai_platform.cpp": ["kernel", "ai", "arch"],
    "kernel/ai_platform.h": ["kernel", "ai"],
    "kernel/main.cpp": ["kernel", "ai", "arch", "boot", "console", "drivers"],
    "kernel": ["boot", "arch"],
    "drivers": ["kernel", "boot", "arch"],
    "console": ["kernel", "ai", "boot"],
    "console/machine": ["kernel", "boot", "arch", "console"],
    "arch": ["kernel", "boot"],
    "arch/host": ["kernel", "boot"],
    "tests": ["kernel", "ai", "boot", "arch", "console", "drivers", "tools", "tests"],
}

INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)', re.M)
INTRINSICS = {"immintrin.h", "x86intrin.h", "arm_neon.h", "emmintrin.h", "smmintrin.h", "xmmintrin.h"}
CPU_SPECIFIC = re.compile(r"__x86_64__|__aarch64__|\basm\s+volatile|\b__asm__\b|__builtin_ia32_")


def row_of(path: str) -> str | None:
    """The most specific row that covers `path`."""
    best = None
    for folder in TABLE:
        if path == folder or path.startswith(folder + "/"):
            if best is None or len(folder) > len(best):
                best = folder
    return best


def home_of(row: str) -> str:
    return str(pathlib.PurePosixPath(row).parent) if "." in row.rsplit("/", 1)[-1] else row


def faults_of(path: str, text: str) -> list[str]:
    row = row_of(path)
    if row is None:
        return [f"{path}: no row in the layer table covers this folder"]
    allowed = [home_of(row), *TABLE[row]]
    faults = []
    for match in INCLUDE.finditer(text):
        quoted, angled = match.group(1), match.group(2)
        line = text.count("\n", 0, match.start()) + 1
        if angled is not None:
            if angled in INTRINSICS and "/simd/" not in path and not path.startswith("tests/bench/"):
                faults.append(f"{path}:{line}: <{angled}> belongs in arch/*/simd only")
            if angled.startswith("arch/") and not any(a == "arch" or a.startswith("arch") for a in allowed):
                faults.append(f"{path}:{line}: {row} may not include <{angled}>")
            continue
        if "/" not in quoted:  # a generated header, found by -I build/generated
            continue
        if not any(quoted == a or quoted.startswith(a + "/") for a in allowed):
            faults.append(f"{path}:{line}: {row} may not include \"{quoted}\"")
    if not path.startswith(("arch/", "drivers/linux/", "tests/")):
        for match in CPU_SPECIFIC.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            faults.append(f"{path}:{line}: `{match.group(0)}` outside arch/: use the arch contract")
    return faults


def sources() -> list[pathlib.Path]:
    folders = ("boot", "arch", "kernel", "drivers", "ai", "console", "tests")
    return [p for f in folders for ext in ("*.h", "*.cpp") for p in sorted((ROOT / f).rglob(ext))
            if "drivers/linux/" not in p.as_posix()]


def self_test() -> None:
    """Each kind of fault, planted, must be found."""
    planted = [
        ("ai/x.cpp", '#include "kernel/mm/heap.h"\n'),
        ("ai/x.cpp", '#include "console/shell.h"\n'),
        ("kernel/base/x.h", '#include "ai/platform.h"\n'),
        ("kernel/mm/x.cpp", '#include "ai/platform.h"\n'),
        ("kernel/net/x.cpp", '#include "ai/engine/engine.h"\n'),
        ("console/x.cpp", "#include <arch/cpu.h>\n"),
        ("console/x.cpp", "#ifdef __x86_64__\n#endif\n"),
        ("ai/kernels/x.cpp", "#include <immintrin.h>\n"),
        ("elsewhere/x.cpp", "int x;\n"),
    ]
    missed = [p for p in planted if not faults_of(*p)]
    clean = [("ai/x.cpp", '#include "kernel/base/result.h"\n'), ("kernel/main.cpp", '#include "console/shell.h"\n')]
    wrong = [c for c in clean if faults_of(*c)]
    for case in missed:
        print(f"self-test: not found: {case}")
    for case in wrong:
        print(f"self-test: wrongly refused: {case}")
    print(f"layering self-test: {len(planted) + len(clean) - len(missed) - len(wrong)} passed, "
          f"{len(missed) + len(wrong)} failed")
    sys.exit(1 if missed or wrong else 0)


def main() -> None:
    if "--self-test" in sys.argv:
        self_test()
    faults = []
    files = sources()
    for path in files:
        faults += faults_of(path.relative_to(ROOT).as_posix(), path.read_text())
    print("\n".join(faults) if faults else f"layering: {len(files)} files, no fault")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
