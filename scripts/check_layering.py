#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks which folder may include which (wiki/Architecture). Usage: check_layering.py [--self-test]

A row is a folder ("console/shell/" is only that), or files that stand alone: "kernel/log" covers log.h
and log.cpp, "kernel/log.cpp" only the one. A folder may include itself, kernel/base, and what its row names; "arch" there means the
headers <arch/...>. The most specific row wins. What no row covers is an error, so a new folder needs a
row here; that is the purpose. The rows must not form a circle; an arrow back to an including folder is refused.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

CONTRACT, MACHINE = "kernel/arch_contract", "kernel/arch_machine"
# The parts of the kernel that services and commands may use: no interrupts, no PCI, no panic.
KERNEL = [CONTRACT, "kernel/crypto", "kernel/dev", "kernel/fs", "kernel/log", "kernel/mm", "kernel/net",
          "kernel/options", "kernel/profile", "kernel/sched", "kernel/sync", "kernel/time", "kernel/trace", "kernel/trial"]

# room: rooms it may include besides itself and kernel/base
TABLE = {
    "kernel/base": [],
    "boot": [],
    # ---- the kernel
    "kernel/arch_contract": ["arch"],
    "kernel/arch_machine": [CONTRACT, "arch", "boot/hardware", "kernel/fault"],
    "kernel/fault": [],
    "kernel/sync": [CONTRACT],
    "kernel/time": [CONTRACT],
    "kernel/crypto": [CONTRACT],
    "kernel/profile": [CONTRACT],
    "kernel/log.h": [],
    "kernel/log.cpp": [CONTRACT, "kernel/dev", "kernel/log.h", "kernel/time"],  # lines appear on the terminal
    "kernel/trace.h": [CONTRACT],
    "kernel/trace_ring": ["kernel/trace.h"],
    "kernel/trace.cpp": ["kernel/trace_ring", "kernel/log.h", "kernel/mm", "kernel/sched", "kernel/time", "kernel/trace.h"],
    "kernel/options": ["kernel/log.h"],
    "kernel/trial_record": [],
    "kernel/trial": [CONTRACT, "kernel/time", "kernel/log.h", "kernel/options", "kernel/trial_record", "boot"],
    # A broken heap names the caller; the page of a trial's record is nobody else's.
    "kernel/mm": [CONTRACT, "kernel/sync", "kernel/symbols", "kernel/log.h", "kernel/trial", "boot"],
    "kernel/sched": [CONTRACT, "kernel/mm", "kernel/sync", "kernel/time", "kernel/log.h", "kernel/trace.h", "kernel/trial"],
    "kernel/dev": [CONTRACT, "kernel/sched", "kernel/time", "kernel/log.h"],
    "kernel/fs": ["kernel/dev", "kernel/mm", "kernel/sched", "kernel/time", "kernel/log.h", "boot"],
    "kernel/net": ["kernel/crypto", "kernel/dev", "kernel/mm", "kernel/sched", "kernel/time", "kernel/log.h",
                   "kernel/options"],
    "kernel/acpi": ["boot"],
    "kernel/irq": [MACHINE, "kernel/sync"],
    "kernel/pci": [MACHINE, "boot/hardware", "kernel/irq", "kernel/time", "kernel/log.h"],
    "kernel/symbols": [MACHINE, "kernel/log.h"],
    "kernel/runtime": ["kernel/panic"],
    "kernel/string_functions": [],
    "kernel/panic": [MACHINE, "kernel/dev", "kernel/log.h", "kernel/options", "kernel/symbols", "kernel/trace.h", "kernel/trial"],
    "kernel/ubsan": ["kernel/panic"],
    "kernel/main.h": ["boot"],
    "kernel/main.cpp": ["kernel", "boot", "console"],  # the boot order: knows everybody
    # ---- the engine
    "ai/platform.h": [],
    "ai/byte_stream.h": [],
    "ai/file_reader.h": [],
    "ai/math": [],
    "ai/quant/types.h": ["ai/quant/formats.def"],
    "ai/tensor.h": ["ai/quant/types.h"],
    "ai/quant": ["ai/math", "ai/tensor.h"],
    "ai/gguf": ["ai/quant", "ai/tensor.h", "ai/platform.h", "ai/byte_stream.h"],
    "ai/tokenizer": ["ai/gguf", "ai/platform.h"],
    "ai/attention": ["ai/math", "ai/quant", "ai/platform.h"],
    "ai/kernels": ["ai/attention", "ai/math", "ai/quant", "ai/platform.h"],
    "ai/text": ["ai/math", "ai/tokenizer", "ai/platform.h"],
    "ai/models": ["ai/attention", "ai/gguf", "ai/kernels", "ai/math", "ai/quant", "ai/tokenizer", "ai/tensor.h",
                  "ai/file_reader.h", "ai/platform.h"],
    "ai/engine": ["ai/models", "ai/text", "ai/attention", "ai/gguf", "ai/kernels", "ai/math", "ai/quant",
                  "ai/tokenizer", "ai/tensor.h", "ai/platform.h", "ai/byte_stream.h",
                  "ai/file_reader.h"],
    "ai/openai": ["ai/engine", "ai/text", "kernel/crypto",
                  "ai/attention/attend.h"],  # /metrics counts cached tokens by kPagePositions
    # ---- machines and devices
    "arch/x86_64/simd": ["ai/attention", "ai/kernels", "ai/math", "ai/quant", "kernel/crypto/sha256_rounds.h"],
    "arch/aarch64/simd": ["ai/attention", "ai/kernels", "ai/math", "ai/quant"],
    "arch/x86_64": [CONTRACT, "kernel/acpi", "kernel/fault", "kernel/irq", "kernel/log.h", "kernel/main.h", "kernel/mm", "kernel/panic",
                    "kernel/symbols", "kernel/sync", "kernel/time", "kernel/trial", "boot", "arch"],
    "arch/aarch64": [CONTRACT, "kernel/acpi", "kernel/fault", "kernel/irq", "kernel/log.h", "kernel/main.h", "kernel/mm", "kernel/options",
                     "kernel/panic", "kernel/symbols", "kernel/sync", "kernel/time", "boot", "arch"],
    "arch/host": [CONTRACT, "kernel/dev", "kernel/fs", "kernel/log.h", "kernel/main.h", "kernel/mm", "kernel/net",
                  "kernel/options", "kernel/sched", "kernel/time", "boot", "arch"],
    # Drivers of x86's own devices (ports) and those that map memory.
    "drivers/display": ["kernel/dev", "kernel/log.h", "kernel/options", "kernel/panic", "kernel/time", "boot", "arch"],
    "drivers/input": ["drivers/display", CONTRACT, "kernel/dev", "kernel/irq", "kernel/log.h", "kernel/panic",
                      "kernel/time", "arch"],
    "drivers/serial": ["kernel/dev", "kernel/irq", "kernel/sync", "boot", "arch"],
    "drivers/platform": ["drivers/input", "drivers/linux"],
    "drivers/linux": ["drivers/display", "drivers/input", CONTRACT, "kernel/dev", "kernel/irq", "kernel/log.h",
                      "kernel/mm", "kernel/options", "kernel/panic", "kernel/pci", "kernel/sched", "kernel/sync",
                      "kernel/time", "arch"],
    "drivers/probe.cpp": ["drivers", CONTRACT, "kernel/dev", "kernel/log.h", "kernel/panic", "kernel/pci", "boot"],
    # ---- services, which know no person and no terminal, and the front ends that use them
    "service": ["ai", *KERNEL],
    "console/terminal/": ["kernel/dev", "kernel/sched", "kernel/time"],
    "console/shell/": ["console/terminal/", "service", "ai", *KERNEL, "kernel/panic"],
    "console/shell/machine/": ["console/shell/", "console/terminal/", *KERNEL, MACHINE, "kernel/fault", "kernel/irq",
                               "kernel/panic", "kernel/pci"],
    "console/chat/": ["console/shell/", "console/terminal/", "service", "ai", *KERNEL],
    "console/check/": ["console/chat/", "console/shell/", "console/terminal/", "service", "ai", *KERNEL],
    # ---- tools and tests
    "tools": ["ai", CONTRACT],
    "tests": ["kernel", "ai", "boot", "arch", "service", "console", "drivers", "tools"],
}

INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)', re.M)
INTRINSICS = {"immintrin.h", "x86intrin.h", "arm_neon.h", "emmintrin.h", "smmintrin.h", "xmmintrin.h"}
CPU_SPECIFIC = re.compile(r"__x86_64__|__aarch64__|\basm\s+volatile|\b__asm__\b|__builtin_ia32_")


def covers(row: str, path: str) -> bool:
    return path.startswith(row) if row.endswith("/") else path == row or path.startswith((row + "/", row + "."))


def row_of(path: str) -> str | None:
    """Returns the most specific row that covers `path`."""
    return max((row for row in TABLE if covers(row, path)), key=len, default=None)


def faults_of(path: str, text: str) -> list[str]:
    row = row_of(path)
    if row is None:
        return [f"{path}: no row in the layer table covers this folder"]
    allowed = ["kernel/base", row, *TABLE[row]]
    faults = []
    for match in INCLUDE.finditer(text):
        quoted, angled = match.group(1), match.group(2)
        line = text.count("\n", 0, match.start(match.lastindex)) + 1
        if angled is not None:
            if angled in INTRINSICS and "/simd/" not in path and not path.startswith("tests/bench/"):
                faults.append(f"{path}:{line}: <{angled}> belongs in arch/*/simd only")
            if angled.startswith("arch/") and "arch" not in allowed:
                faults.append(f"{path}:{line}: {row} may not include <{angled}>")
            continue
        if "/" not in quoted:  # a generated header, found by -I build/generated
            continue
        if not any(covers(a, quoted) for a in allowed):
            faults.append(f"{path}:{line}: {row} may not include \"{quoted}\"")
    if not path.startswith(("arch/", "drivers/linux/", "tests/")):
        for match in CPU_SPECIFIC.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            faults.append(f"{path}:{line}: `{match.group(0)}` outside arch/: use the arch contract")
    return faults


def circles(table: dict[str, list[str]]) -> list[str]:
    """Returns arrows of the table that form a circle. <arch/...> is a contract and does not count as a folder."""
    arrows = {row: [to for to in table if to != row and not covers(to, row)
                    and any(covers(a, to) or (a not in table and covers(to, a)) for a in allowed if a != "arch")]
              for row, allowed in table.items()}
    found, state = [], {}

    def visit(row: str, way: list[str]) -> None:
        state[row] = "open"
        for to in arrows[row]:
            if state.get(to) == "open":
                found.append("a circle of rows: " + " -> ".join([*way[way.index(to):], to]))
            elif to not in state:
                visit(to, [*way, to])
        state[row] = "done"

    for row in table:
        if row not in state:
            visit(row, [row])
    return found


def sources() -> list[pathlib.Path]:
    folders = ("boot", "arch", "kernel", "drivers", "ai", "service", "console", "marrow", "tools", "tests")
    # drivers/linux/shim is C for Linux's own headers.
    return [p for f in folders for ext in ("*.h", "*.cpp", "*.inc", "*.def") for p in sorted((ROOT / f).rglob(ext))
            if "drivers/linux/shim/" not in p.as_posix()]


def self_test() -> None:
    """Each kind of fault, planted, must be found."""
    planted = [
        ("ai/engine/x.cpp", '#include "kernel/mm/heap.h"\n'),
        ("ai/engine/x.cpp", '#include "console/shell/shell.h"\n'),
        ("ai/math/x.cpp", '#include "ai/openai/service.h"\n'),
        ("ai/quant/x.h", '#include "ai/engine/engine.h"\n'),
        ("ai/attention/x.cpp", '#include "ai/kernels/table.h"\n'),
        ("ai/kernels/lanes/x.inc", '#include "ai/models/forward.h"\n'),
        ("ai/openai/x.cpp", '#include "kernel/net/stack.h"\n'),
        ("ai/x/x.cpp", "int x;\n"),
        ("kernel/base/x.h", '#include "ai/platform.h"\n'),
        ("kernel/mm/x.cpp", '#include "ai/platform.h"\n'),
        ("kernel/mm/x.cpp", '#include "kernel/net/stack.h"\n'),
        ("kernel/sched/x.cpp", '#include "kernel/fs/vfs.h"\n'),
        ("kernel/sync/x.h", '#include "kernel/sched/wait.h"\n'),
        ("kernel/log.h", '#include "kernel/dev/terminal.h"\n'),
        ("kernel/log.cpp", '#include "service/ai_platform.h"\n'),
        ("kernel/net/x.cpp", '#include "ai/engine/engine.h"\n'),
        ("kernel/new_room/x.cpp", "int x;\n"),
        ("drivers/serial/x.cpp", '#include "kernel/net/stack.h"\n'),
        ("drivers/linux/x.cpp", '#include "kernel/net/stack.h"\n'),
        ("service/x.cpp", '#include "console/terminal/io.h"\n'),
        ("console/terminal/x.h", '#include "service/engine_host.h"\n'),
        ("console/shell/x.cpp", '#include "console/chat/talk.h"\n'),
        ("tools/x.cpp", '#include "tests/hosted/test_platform.h"\n'),
        ("console/x.cpp", "#include <arch/cpu.h>\n"),
        ("kernel/pci/x.cpp", "#include <arch/pci_config.h>\n"),
        ("kernel/fs/x.cpp", "#include <arch/paging.h>\n"),
        ("console/x.cpp", "#ifdef __x86_64__\n#endif\n"),
        ("ai/kernels/x.cpp", "#include <immintrin.h>\n"),
        ("elsewhere/x.cpp", "int x;\n"),
    ]
    missed = [p for p in planted if not faults_of(*p)]
    if not circles(TABLE | {"kernel/sync": ["kernel/sched"]}):
        missed.append("kernel/sync -> kernel/sched -> kernel/sync")
    clean = [("ai/engine/x.cpp", '#include "kernel/base/result.h"\n'),
             ("ai/quant/x.cpp", '#include "ai/quant/types.h"\n'),
             ("kernel/log.cpp", '#include "kernel/dev/terminal.h"\n'),
             ("kernel/arch_machine.h", "#include <arch/pci_config.h>\n"),
             ("kernel/main.cpp", '#include "console/shell/shell.h"\n')]
    wrong = [c for c in clean if faults_of(*c)]
    for case in missed:
        print(f"self-test: not found: {case}")
    for case in wrong:
        print(f"self-test: wrongly refused: {case}")
    total = len(planted) + 1 + len(clean)
    print(f"layering self-test: {total - len(missed) - len(wrong)} passed, {len(missed) + len(wrong)} failed")
    sys.exit(1 if missed or wrong else 0)


def main() -> None:
    if "--self-test" in sys.argv:
        self_test()
    faults = circles(TABLE)
    files = sources()
    for path in files:
        faults += faults_of(path.relative_to(ROOT).as_posix(), path.read_text())
    print("\n".join(faults) if faults else f"layering: {len(files)} files, no fault")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
